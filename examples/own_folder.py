"""A folder of images, one folder a class, and a model that knows others: `own_folder.py EPOCHS FOLDER MODEL.keras`.

Without a folder it writes small pictures of the digits 5 to 9 into one; without a model it trains one on the digits 0 to 4.
"""

import pathlib
import sys

import keras

import keras_vix

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "five_to_nine")
known = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else "zero_to_four.keras")
digits = keras_vix.data.load("digits")
if len(sys.argv) <= 2:
    for index in (digits.train.y >= 5).nonzero()[0]:
        place = folder / str(digits.train.y[index])
        place.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(place / f"{index}.png", digits.train.x[index], scale=False)
if len(sys.argv) <= 3:
    few = digits.train.y < 5
    model = keras_vix.build("performer_softmax", dataset="digits", classes=5)
    model.fit(digits.train.x[few], digits.train.y[few], batch_size=64, epochs=epochs, verbose=0)
    model.save(known)

model = keras_vix.load(known)
data = keras_vix.data.load(folder, image_size=model.input_shape[1:3])  # jpg, png, ...; `train` and `test` in it, or classes alone
model, _ = keras_vix.swap_mixer(model, classes=data.facts.classes)  # a head for as many classes
batches = keras_vix.data.batches(data.train, 64, shuffle=True, facts=data.facts)
steps = epochs * len(batches)
keras_vix.train.finetune(model, new="head/*", steps=steps, frozen_steps=steps // 5, batch_size=64, learning_rate=1e-3)
watch = keras_vix.callbacks.Watch()
model.fit(batches, validation_data=data.validation, epochs=epochs, callbacks=[watch], verbose=2)
print(data.facts.class_names, model.evaluate(*data.test, return_dict=True, verbose=0))
