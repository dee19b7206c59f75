"""The layers in a model of your own: they are ordinary Keras layers."""

import sys

import keras

import keras_vix
from keras_vix.layers import LocalWindowAttention2D, PerformerAttention, RotaryEmbedding

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 8
data = keras_vix.data.load("digits")

image = keras.Input((8, 8, 1))
x = keras.layers.Rescaling(1 / 255)(image)
x = keras.layers.Conv2D(32, 3, padding="same", activation="gelu")(x)
x = keras.layers.Reshape((64, 32))(x)
x += LocalWindowAttention2D(num_heads=4, grid=(8, 8), window=4)(keras.layers.LayerNormalization()(x))
rope = RotaryEmbedding(axes=2, grid=(8, 8))
x += PerformerAttention(num_heads=4, num_features=32, rope=rope)(keras.layers.LayerNormalization()(x))
x = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization()(x))
model = keras.Model(image, keras.layers.Dense(10, activation="softmax")(x))

model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.summary()
model.fit(*data.train, validation_data=data.validation, batch_size=32, epochs=epochs, verbose=2)
print(model.evaluate(*data.test, return_dict=True, verbose=0))
