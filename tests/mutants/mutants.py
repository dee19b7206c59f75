"""Mistakes that somebody could make in this package, one a row, and the tests that must notice each."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A mistake.

    Args:
        name: of the mistake.
        file: of the package.
        old: its text there, which occurs once.
        new: what takes its place.
        tests: that are to fail, as pytest names them; all of them part of the default suite.
        harm: what would go wrong if nobody noticed.
        survives: the reason why no test can see it, where none can.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    harm: str
    survives: str = ""


LAWS = "tests/test_laws.py::test_"
PERFORMER = "tests/kernels/test_performer.py::test_"
CHECKPOINT = "tests/train/test_checkpoint.py::test_"
RUNNER = "tests/bench/test_runner.py::test_"

KERNELS = (
    Mutant(
        "stabiliser-with-gradient",
        "ops/features.py",
        "return ops.stop_gradient(ops.max(u, axis=-1, keepdims=True))",
        "return ops.max(u, axis=-1, keepdims=True)",
        (PERFORMER + "the_stabilisers_are_constants_to_the_gradient",),
        "A term that cancels in theory adds its rounding errors to the gradient, and a pass over all features to the step.",
    ),
    Mutant(
        "stabiliser-of-keys-with-gradient",
        "ops/features.py",
        "        return ops.stop_gradient(ops.max(u, axis=axis, keepdims=True))",
        "        return ops.max(u, axis=axis, keepdims=True)",
        (PERFORMER + "the_stabilisers_are_constants_to_the_gradient",),
        "As for the queries.",
    ),
    Mutant(
        "stabiliser-over-the-batch",
        "ops/features.py",
        "        return ops.stop_gradient(ops.max(u, axis=axis, keepdims=True))",
        "        return ops.stop_gradient(ops.max(u, axis=(0, *range(1, len(u.shape))), keepdims=True))",
        (LAWS + "samples_are_independent[kernel:performer/full]",),
        "One loud image in a batch makes the features of all others underflow to 0.",
    ),
    Mutant(
        "half-norm-missing",
        "kernels/performer.py",
        "return u - maps.half_norm(x) * x.shape[-1] ** -0.5 if self.features in SOFTMAX else u",
        "return u",
        (PERFORMER + "equals_a_loop_without_stabiliser[positive-6]",),
        "Without |x|^2 / 2 the features estimate another kernel than softmax.",
    ),
    Mutant(
        "features-in-half-precision",
        "kernels/performer.py",
        "phi_q, phi_k = self.phi(promote(q), promote(k), mask)\n        out",
        "phi_q, phi_k = self.phi(q, k, mask)\n        out",
        (LAWS + "finite_at_any_length[kernel:performer/positive-mixed_float16]",),
        "Squares of more than 256 are infinite in float16, and exponentials of rounded logarithms are wrong.",
    ),
    Mutant(
        "softmax-in-half-precision",
        "kernels/softmax.py",
        "out = self._exact(promote(q), promote(k), promote(v), mask, bias)",
        "out = self._exact(q, k, v, mask, bias)",
        (LAWS + "finite_at_any_length[kernel:softmax-mixed_float16]",),
        "Scores above 65,504 are infinite in float16, and their softmax is no number.",
    ),
    Mutant(
        "no-float32-island",
        "ops/precision.py",
        'return x if wide else ops.cast(x, "float32")',
        "return x",
        ("tests/zoo/test_precision.py::test_sums_and_exponentials_are_float32[nystromformer]",),
        "Sums over tokens and inverses lose their digits under mixed precision.",
    ),
    Mutant(
        "tiny-epsilon",
        "kernels/performer.py",
        'EPSILON = {"relu": 1e-3}',
        'EPSILON = {"relu": 1e-15}',
        (PERFORMER + "equals_a_loop_without_stabiliser[relu-6]",),
        "A query whose features are all 0 divides by next to nothing, and 1e-15 beside 1 is lost in float32.",
    ),
    Mutant(
        "masked-keys-in-performer",
        "ops/features.py",
        "        phi_k, v = (ops.where(mask, x, 0.0) for x in (phi_k, v))\n    context",
        "        pass\n    context",
        (LAWS + "masked_is_absent[kernel:performer/relu]",),
        "Padding takes part in sums of features.",
    ),
    Mutant(
        "masked-keys-in-the-stabiliser",
        "ops/features.py",
        "top = ops.max(ops.where(ops.expand_dims(mask, -1), u, -np.inf), axis=axis, keepdims=True)",
        "top = ops.max(u, axis=axis, keepdims=True)",
        (LAWS + "masked_is_absent[kernel:performer/full]",),
        "What stands in padding decides the scale of the features of what does not.",
    ),
    Mutant(
        "masked-keys-in-linformer",
        "kernels/linformer.py",
        "            k, v = (_present(x, mask) for x in (k, v))",
        "            pass",
        (LAWS + "masked_is_absent[kernel:linformer/head]",),
        "Padding is mixed into every projected token.",
    ),
    Mutant(
        "masked-keys-in-nystrom",
        "kernels/nystrom.py",
        "right = attend(q_mean, k, v, _rows(mask))",
        "right = attend(q_mean, k, v, None)",
        (LAWS + "masked_is_absent[kernel:nystrom]",),
        "Padding takes part in what the landmarks see.",
    ),
    Mutant(
        "qr-without-sign",
        "ops/features.py",
        "return (q * np.sign(np.diag(r))).T",
        "return q.T",
        (PERFORMER + "the_sign_of_the_qr_factors_matters",),
        "Orthogonal rows are not evenly distributed, and the estimate of softmax is off by up to 23 %.",
    ),
    Mutant(
        "projection-of-another-seed",
        "kernels/performer.py",
        "rows = self._draw(q_shape[-1], self.seed)",
        "rows = self._draw(q_shape[-1], self.seed + 1)",
        ("tests/kernels/test_projections.py::test_performer",),
        "A model built from its description is not the one that was described.",
    ),
    Mutant(
        "projection-drawn-at-every-call",
        "kernels/performer.py",
        "w = ops.convert_to_tensor(self.w) * (",
        "w = ops.convert_to_tensor(self._draw(q.shape[-1], [self.seed, np.random.randint(2**31)])) * (",
        (LAWS + "inference_is_deterministic[kernel:performer/positive]",),
        "Two passes over one image differ.",
    ),
    Mutant(
        "projection-trained",
        "kernels/performer.py",
        'initializer=_constant(rows), trainable=False, dtype="float32"',
        'initializer=_constant(rows), trainable=True, dtype="float32"',
        (PERFORMER + "the_projection_is_drawn_by_numpy_from_the_seed_and_is_not_trained",),
        "The features no longer estimate softmax after the first step.",
    ),
    Mutant(
        "inverse-started-from-the-batch",
        "ops/inverse.py",
        "norm = ops.max(ops.sum(size, axis=-1), axis=-1) * ops.max(ops.sum(size, axis=-2), axis=-1)",
        "norm = ops.max(ops.sum(size, axis=-1)) * ops.max(ops.sum(size, axis=-2)) * ops.ones(a.shape[:-2])",
        ("tests/kernels/test_nystrom.py::test_the_inverse_converges_and_samples_do_not_meet",),
        "What one image gives depends on the others of its batch.",
    ),
    Mutant(
        "inverse-of-half-the-iterations",
        "ops/inverse.py",
        "for _ in range(iterations):",
        "for _ in range(iterations // 2):",
        ("tests/kernels/test_nystrom.py::test_constant_values_stay_nearly_constant_at_unit_scale",),
        "Weights no longer sum to 1.",
    ),
    Mutant(
        "dropout-at-inference",
        "kernels/softmax.py",
        "if self.dropout and training:",
        "if self.dropout:",
        (LAWS + "dropout_drops[kernel:softmax/dropout]",),
        "Predictions are random.",
    ),
    Mutant(
        "future-of-a-chunk-seen",
        "ops/chunked.py",
        "past(chunk, keys, index * chunk) if causal",
        "past(chunk, keys, index * chunk + chunk) if causal",
        ("tests/kernels/test_softmax.py", "-k", "causal"),
        "A decoder learns to copy the token that it is to predict.",
    ),
)

LAYERS = (
    Mutant(
        "mask-of-shifted-windows-missing",
        "mixers/window.py",
        "        if allowed is not None:",
        "        if False:",
        ("tests/mixers/test_window.py::test_a_token_reaches_its_window_and_no_further",),
        "Tokens at one border attend to those at the opposite one.",
    ),
    Mutant(
        "windows-shifted-back-the-wrong-way",
        "mixers/partition.py",
        "            x = turn(x, *self.shift)",
        "            x = turn(x, *(-s for s in self.shift))",
        ("tests/ops/test_grids.py::test_shift_and_back",),
        "Every second block moves the map by twice the shift.",
    ),
    Mutant(
        "relative-index-transposed",
        "ops/grids.py",
        "offset = place[:, None] - place[None] + (high - 1, wide - 1)",
        "offset = place[None] - place[:, None] + (high - 1, wide - 1)",
        ("tests/ops/test_grids.py::test_relative_index",),
        "Weights of other packages load without an error and are read backwards.",
    ),
    Mutant(
        "rotary-angles-in-float32",
        "ops/rotary.py",
        'return (positions.astype("float64")[:, :, None] * rates)',
        'return (positions.astype("float32")[:, :, None] * rates.astype("float32"))',
        ("tests/parts/test_positions.py::test_scores_at_position_65535_equal_float64",),
        "Far places are turned by wrong angles.",
    ),
    Mutant(
        "rotary-turns-the-class-token",
        "parts/positions.py",
        "turn = np.concatenate([np.zeros((still, width // 2)), turn])",
        "turn = np.concatenate([np.ones((still, width // 2)), turn])",
        ("tests/parts/test_positions.py::test_norms_stay_and_prefix_tokens_are_not_turned",),
        "A token without a place gets one.",
    ),
    Mutant(
        "dropped-paths-not-scaled",
        "parts/residual.py",
        "y * ops.cast(self.gamma, y.dtype), training=training)",
        "y * ops.cast(self.gamma, y.dtype), training=training) * (1 - self.drop_path if training else 1)",
        ("tests/parts/test_parts.py::test_drop_path_leaves_whole_samples_out_and_keeps_the_mean",),
        "Branches are louder at inference than they ever were in training.",
    ),
    Mutant(
        "class-token-in-the-mean",
        "parts/pools.py",
        "x = promote(x[:, self.prefix :])\n        if mask is None:",
        "x = promote(x)\n        if mask is None:",
        ("tests/parts/test_parts.py::test_tokens_prefix_and_pools",),
        "A mean of places counts a token that is none.",
    ),
    Mutant(
        "class-token-left-out",
        "parts/pools.py",
        "        return x[:, 0]",
        "        return x[:, -1]",
        ("tests/parts/test_parts.py::test_tokens_prefix_and_pools",),
        "The head reads the last patch.",
    ),
    Mutant(
        "padding-seen-by-the-mixers",
        "zoo/assemble.py",
        'seen = {} if mask is None else {"memory_mask": mask}\n    branches',
        "seen = {}\n    branches",
        ("tests/zoo/test_padding.py::test_a_cut_image_in_a_frame_is_the_cut_image",),
        "What an image is taken for depends on the size of its batch's largest one.",
    ),
    Mutant(
        "one-seed-for-all-blocks",
        "zoo/assemble.py",
        "np.random.SeedSequence([config.seed, *place])",
        "np.random.SeedSequence([config.seed])",
        ("tests/zoo/test_zoo.py::test_the_same_seed_gives_the_same_projections_and_another_gives_others",),
        "The errors of random features do not average out over the blocks.",
    ),
    Mutant(
        "pixels-not-scaled",
        "zoo/assemble.py",
        "(1 / (255 * std)).tolist()",
        "(1 / std).tolist()",
        ("tests/zoo/test_zoo.py::test_models_take_raw_pixels",),
        "Images are 255 times as bright as those of the statistics.",
    ),
    Mutant(
        "multiply-adds-halved",
        "kernels/softmax.py",
        "return 2 * math.prod(q_shape) * k_shape[-2]",
        "return math.prod(q_shape) * k_shape[-2]",
        ("tests/zoo/test_zoo.py::test_multiply_adds_by_hand",),
        "Tables show exact attention at half its cost.",
    ),
    Mutant(
        "products-of-windows-not-counted",
        "mixers/window.py",
        "return total + self.kernel.multiply_adds(heads, heads, heads)",
        "return total",
        ("tests/zoo/test_zoo.py::test_multiply_adds_of_windows_and_merging",),
        "Tables show local attention as free, as a profiler does that counts an einsum as 0.",
    ),
    Mutant(
        "argument-lost-from-a-configuration",
        "mixers/window.py",
        "return super().get_config() | dict(self.line)",
        "return super().get_config()",
        (LAWS + "config_is_constructor[mixer:window_1d/wrapped]",),
        "A layer from a file is not the one that was saved.",
    ),
    Mutant(
        "option-lost-from-every-configuration",
        "base.py",
        "for name in arguments(type(self))}\n        return super().get_config() | own",
        "for name in arguments(type(self))[:-1]}\n        return super().get_config() | own",
        (LAWS + "survives_a_file[kernel:nystrom/front]",),
        "A layer from a file has the default in place of what was chosen.",
    ),
)

TRAINING = (
    Mutant(
        "checkpoint-written-in-place",
        "train/checkpoint.py",
        '''        (write_model if suffix == ".keras" else write_weights)(model, temporary)
        verify(temporary)
        flush(temporary)
        keep_previous(path)
        os.replace(temporary, path)
''',
        '''        keep_previous(path)
        (write_model if suffix == ".keras" else write_weights)(model, path)
        verify(path)
''',
        (CHECKPOINT + "f5_a_full_disk_is_told_and_nothing_is_lost",),
        "A crash while saving destroys the last good file.",
    ),
    Mutant(
        "nan-is-the-best-epoch",
        "train/checkpoint.py",
        "if not all(map(math.isfinite, figures.values())) or not self._is_better(epoch, figures):",
        "if not self._is_better(epoch, figures):",
        (CHECKPOINT + "f16_nan_in_validation_only_is_not_saved_whatever_is_monitored",),
        "A diverged epoch takes the place of the best one, and no number is ever better than NaN.",
    ),
    Mutant(
        "checkpoint-not-verified",
        "train/checkpoint.py",
        "        verify(temporary)\n        flush(temporary)\n        keep_previous(path)",
        "        flush(temporary)\n        keep_previous(path)",
        (CHECKPOINT + "what_cannot_be_read_again_takes_nobodys_place",),
        "A file that cannot be read takes the place of one that could.",
    ),
    Mutant(
        "previous-checkpoint-not-kept",
        "train/checkpoint.py",
        "        keep_previous(path)\n        os.replace(temporary, path)",
        "        os.replace(temporary, path)",
        (CHECKPOINT + "the_last_epoch_is_kept_and_the_one_before",),
        "There is nothing to fall back on.",
    ),
    Mutant(
        "code-in-model-files",
        "train/load.py",
        "compile=compile, safe_mode=True)",
        "compile=compile, safe_mode=False)",
        ("tests/test_save_load.py::test_code_is_refused_where_only_keras_sees_it",),
        "Loading somebody's model runs somebody's program.",
    ),
    Mutant(
        "compiling-in-the-steady-time",
        "train/timing.py",
        "steady = self.epochs[1:] or [",
        "steady = self.epochs or [",
        ("tests/train/test_timing.py::test_compiling_is_kept_apart",),
        "Models that compile slowly are shown as slow.",
    ),
    Mutant(
        "mean-in-place-of-median",
        "train/timing.py",
        "return statistics.median(known) if known else None",
        "return statistics.mean(known) if known else None",
        ("tests/train/test_timing.py::test_compiling_is_kept_apart",),
        "One epoch during which the machine slept decides a row.",
    ),
    Mutant(
        "smoothing-forgotten",
        "train/compile.py",
        "SmoothedCrossentropy(recipe.label_smoothing)",
        "SmoothedCrossentropy()",
        ("tests/train/test_recipe.py::test_the_loss_is_the_recipes",),
        "A recipe is not the published one.",
    ),
    Mutant(
        "smoothing-lost-from-the-file",
        "train/losses.py",
        'return {**super().get_config(), "label_smoothing": self.label_smoothing}',
        "return super().get_config()",
        ("tests/train/test_recipe.py::test_the_loss_is_the_recipes",),
        "A model that goes on training from a file minimises another loss.",
    ),
    Mutant(
        "decay-of-norms-and-biases",
        "train/compile.py",
        "var_list=[weight for weight in weights if len(weight.shape) < 2], var_names=list(NO_DECAY)",
        "var_list=[]",
        ("tests/train/test_recipe.py::test_weight_decay_spares_biases_norms_and_positions",),
        "Scales and positions are pulled to 0.",
    ),
    Mutant(
        "copies-count-in-the-accuracy",
        "train/devices.py",
        'np.concatenate([weight, np.zeros(missing, "float32")])',
        'np.concatenate([weight, np.ones(missing, "float32")])',
        ("tests/train/test_devices.py::test_padded_means_are_those_of_the_images",),
        "The last image of a test set counts several times.",
    ),
)

DATA = (
    Mutant(
        "validation-overlaps-training",
        "data/splits.py",
        "return Split(split.x[~apart], split.y[~apart]), Split(split.x[apart], split.y[apart])",
        "return split, Split(split.x[apart], split.y[apart])",
        ("tests/data/test_splits.py::test_divide_keeps_every_image_once_and_the_order",),
        "Models are chosen by images that they were trained on.",
    ),
    Mutant(
        "test-images-follow-the-seed",
        "data/splits.py",
        "return divide(split, total - 4 * total // 5, generator(0, TEST))",
        "return divide(split, total - 4 * total // 5, np.random.default_rng())",
        ("tests/data/test_splits.py::test_the_held_out_test_is_the_same_for_ever",),
        "Two runs are compared on different test images, and one trains on those of the other.",
    ),
    Mutant(
        "one-order-for-all-epochs",
        "data/batches.py",
        "np.random.default_rng([self.seed, ORDER, epoch]).permutation(order)",
        "np.random.default_rng([self.seed, ORDER]).permutation(order)",
        ("tests/data/test_batches.py::test_every_image_exactly_once_an_epoch_in_a_new_order",),
        "Every epoch has the same batches.",
    ),
    Mutant(
        "labels-not-mixed",
        "data/regions.py",
        "share * y + (1 - share) * xp.flip(y, axis=0)",
        "y",
        ("tests/data/test_regions.py::test_shares_of_labels_are_shares_of_pixels",),
        "Half an image of a cat is a whole cat.",
    ),
)

BENCH = (
    Mutant(
        "result-written-in-place",
        "bench/store.py",
        '''            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
''',
        '''            os.close(handle)
            os.unlink(temporary)
            with open(path, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
''',
        ("tests/bench/test_store.py::test_a_failed_write_leaves_the_old_file_and_nothing_else",),
        "A crash while a row is written destroys the one before.",
    ),
    Mutant(
        "fingerprint-without-the-seed",
        "bench/unit.py",
        "text = json.dumps(self.to_dict(), sort_keys=True",
        'text = json.dumps({**self.to_dict(), "seed": 0}, sort_keys=True',
        ("tests/bench/test_unit.py::test_every_field_is_in_the_fingerprint",),
        "Three seeds are measured once and shown as three.",
    ),
    Mutant(
        "rows-begin-from-other-weights",
        "zoo/describe.py",
        "return describe_built(preset, config, outline(config, preset))",
        "from ..base import seed_kept\n\n    with seed_kept():\n        return describe_built(preset, config, outline(config, preset))",
        ("tests/bench/test_start.py::test_a_row_begins_from_the_weights_it_always_began_from",),
        "No accuracy that was ever published comes out again, and nobody knows why.",
    ),
    Mutant(
        "finished-units-run-again",
        "bench/board.py",
        "return row if fresh or (done and not self.redo) else None",
        "return row if fresh else None",
        (RUNNER + "finished_units_are_not_run_again",),
        "A benchmark that was stopped begins anew.",
    ),
    Mutant(
        "failed-units-taken-for-finished",
        "bench/board.py",
        "return row if fresh or (done and not self.redo) else None",
        "return row if fresh or not self.redo else None",
        (RUNNER + "a_failed_unit_is_tried_again_by_the_next_run",),
        "A row that ran out of time once is never measured.",
    ),
    Mutant(
        "damaged-row-believed",
        "bench/store.py",
        '''    if not path.stem.endswith(f"-{row['fingerprint']}"):''',
        "    if False:",
        ("tests/bench/test_store.py::test_a_row_under_another_units_name_is_skipped",),
        "A file that was renamed by hand stands in the table under another model's name.",
    ),
    Mutant(
        "half-a-batch-not-told",
        "bench/process.py",
        'return row | own | {"retried": True, "first_failure": first}',
        "return row | own",
        ("tests/bench/test_faults.py::test_f14_half_the_batch_that_fits_is_a_marked_row",),
        "A row that ran with half the batch is ranked among the others.",
    ),
    Mutant(
        "best-epoch-is-no-number",
        "bench/scores.py",
        "if value is not None and math.isfinite(value)",
        "if value is not None",
        ("tests/bench/test_scores.py::test_the_best_epoch",),
        "A diverged epoch is shown as the best.",
    ),
    Mutant(
        "interrupted-trials-forgotten",
        "tune/repair.py",
        '"retry_queue": waiting[::-1],',
        '"retry_queue": [],',
        ("tests/tune/test_repair.py::test_a_kill_in_a_trial_costs_that_trial[3-random]",),
        "A search that was killed has a trial less.",
    ),
    Mutant(
        "ended-trials-run-again",
        "tune/repair.py",
        "waiting = [name for name in trials if name not in ended]",
        "waiting = list(trials)",
        ("tests/tune/test_repair.py::test_a_kill_in_a_trial_costs_that_trial[3-random]",),
        "A search that was killed begins anew.",
    ),
    Mutant(
        "three-failures-end-a-search",
        "tune/oracles.py",
        "NEVER = 2**31 - 1",
        "NEVER = 3",
        ("tests/tune/test_repair.py::test_failures_end_nothing",),
        "Three models in a row that are too large end the search for the small ones.",
    ),
    Mutant(
        "hash-not-compared",
        "interop/sources.py",
        "        check_hash(path, sha256)",
        "        pass",
        ("tests/interop/test_load_errors.py::test_a_file_of_another_hash_is_refused",),
        "Weights that somebody has exchanged are loaded.",
    ),
)

MUTANTS = (*KERNELS, *LAYERS, *TRAINING, *DATA, *BENCH)
