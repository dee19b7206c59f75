# make benchmark      trains ten models on the bundled digits and prints the comparison
# make test           the tests that a change should pass before it is shown: under ten minutes on two cores
# make test-long      the others: every preset, every export, the pages and examples, runs that are killed
# make test-faults    runs killed, disks filled, processes in each other's way: about a quarter of an hour
# make test-slow      a Ray cluster whose workers and nodes die, models on several devices, equal bits in five processes
# make test-mutants   makes 62 mistakes, one at a time, in a copy of the package, and sees whether the tests notice: six minutes
# make test-backends  laws, kernels, mixers, ops, parts and the docstrings' examples under TensorFlow, JAX and torch
# make coverage       counts which lines, and which raise statements, the tests reach
# make test-parity    our ViT, DeiT and Swin beside those of the transformers package: the same weights, the same logits
# make bench-peers    measures our attention layers beside other packages' (benchmarks/peers), on one thread, then on two
# make test-wheel     installs the wheel and two extras alone, and runs examples/tune_and_export.py outside the checkout
# make docs           builds the pages with Sphinx into build/docs; a warning is an error
# make notebooks      runs examples/notebooks and writes what they show into docs/notebooks
# make test-notebooks runs examples/notebooks, and nothing more
# All set up what they need themselves, in .venv and .venv-torch; they need Python 3.11 or newer, make and a package index.

PYTHON ?= python3
BIN := .venv/bin
TORCH := .venv-torch/bin
# Wheels without CUDA, ten times smaller; without this index pip takes those of the default one.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
ANY_BACKEND := tests/test_laws.py tests/kernels tests/mixers tests/ops tests/parts tests/zoo/test_padding.py tests/zoo/test_precision.py \
	tests/test_golden.py tests/zoo/test_jit.py tests/bench/test_advise.py tests/train/test_redraw.py tests/train/test_distill.py \
	tests/train/test_distill_attention.py tests/train/test_finetune.py tests/train/test_rates.py tests/interop \
	tests/interpret/test_factors.py tests/interpret/test_parts.py tests/test_doctests.py
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: benchmark bench-peers coverage docs notebooks test test-long test-notebooks test-wheel test-faults test-slow test-mutants \
	test-backends test-parity lint clean

benchmark: .venv/installed
	$(BIN)/keras-vix bench --suite digits --out runs/digits

bench-peers: .venv/installed .peers/tensorflow/installed .peers/jax/installed .peers/torch/installed
	$(BIN)/python benchmarks/peers/run.py --out runs/peers/one_thread --threads 1 $(PEERS_FLAGS)
	$(BIN)/python benchmarks/peers/run.py --out runs/peers/two_threads --threads 2 $(PEERS_FLAGS)

test: .venv/installed-test
	$(BIN)/python -m pytest -m "alone and not long"
	$(BIN)/python -m pytest -m "not alone and not long" -n 2 --dist worksteal

test-long: .venv/installed-test
	$(BIN)/python -m pytest -m "alone and long"
	$(BIN)/python -m pytest -m "long and not alone" -n 2 --dist worksteal

# Times mean nothing while lines are counted, so the tests that need the machine to themselves are left out.
coverage: .venv/installed-test
	$(BIN)/python -m pip install -q -c constraints.txt pytest-cov
	rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/python -m pytest -m "not alone" -n 2 --dist worksteal --cov --cov-report=
	$(BIN)/python -m tests.raises build/coverage/data

test-faults: .venv/installed-test
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test,jax,browser]'
	$(BIN)/python -m pytest tests/faults -m alone
	$(BIN)/python -m pytest tests/faults -m "not alone" -n 3 --dist worksteal

test-slow: .venv/installed-test
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test,jax,ray]'
	$(BIN)/python -m pytest tests/slow -n 2
	KERAS_VIX_EXAMPLES=5000 $(BIN)/python -m pytest tests/test_hypothesis.py -n 2 --timeout 3600

test-mutants: .venv/installed-test
	$(BIN)/python -m tests.mutants.run

test-backends: .venv/installed-test .venv-torch/installed
	$(BIN)/python -m pip install -q -c constraints.txt jax
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -n 2 --dist worksteal -m "not alone" $(ANY_BACKEND)
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n 2 --dist worksteal -m "not alone" $(ANY_BACKEND)
	KERAS_BACKEND=torch $(TORCH)/python -m pytest -n 2 --dist worksteal -m "not alone" $(ANY_BACKEND)

test-wheel: .venv/bin/python
	rm -rf build/wheel
	$(BIN)/python -m pip wheel -q --no-deps -w build/wheel .
	$(PYTHON) -m venv build/wheel/env
	build/wheel/env/bin/python -m pip install -q -c constraints.txt "$$(ls build/wheel/*.whl)[litert,onnx]"
	cd build/wheel && env/bin/python ../../examples/tune_and_export.py

test-parity: .venv-torch/installed
	$(TORCH)/python -m pip install -q --retries 1 -c constraints.txt transformers safetensors huggingface_hub pyyaml pillow
	$(TORCH)/python -m pip install -q --retries 1 -c constraints.txt --no-deps timm  # it depends on torchvision, which only its images need
	KERAS_BACKEND=torch $(TORCH)/python -m pytest tests/parity

docs: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[docs]'
	$(BIN)/python docs/make_presets.py
	$(BIN)/python docs/make_api.py
	$(BIN)/python -m sphinx -q -W --keep-going -b html -c docs . build/docs

notebooks: test-notebooks
	$(BIN)/python docs/make_notebooks.py

test-notebooks: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[notebooks]'
	rm -rf build/notebooks && mkdir -p build && cp -r examples/notebooks build/notebooks  # they write beside themselves
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=300 -p no:cacheprovider build/notebooks

lint: .venv/installed-test
	$(BIN)/python -m pip install -q -c constraints.txt flake8
	$(BIN)/python -m flake8 keras_vix tests

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "keras_vix needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test]'
	touch $@

# An environment of its own: TensorFlow and torch do not share one well, and torch is large.
.venv-torch/installed: constraints.txt
	$(PYTHON) -m venv .venv-torch
	$(TORCH)/python -m pip install -q --retries 1 --extra-index-url $(TORCH_INDEX) -c constraints.txt \
		torch==2.13.0 keras numpy h5py typer rich psutil pytest pytest-timeout pytest-xdist hypothesis scikit-learn
	touch $@

# Each list is complete and exact, so nothing is resolved; torch comes from the index without CUDA.
.peers/torch/installed: PEERS_PIP := --retries 1 --extra-index-url $(TORCH_INDEX)
.peers/%/installed: benchmarks/peers/requirements/%.txt
	$(PYTHON) -m venv .peers/$*
	.peers/$*/bin/python -m pip install -q $(PEERS_PIP) --no-deps -r $<
	touch $@

clean:
	rm -rf .venv .venv-torch .peers build dist *.egg-info runs
