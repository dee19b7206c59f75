import keras_vix

data = keras_vix.data.load("digits")  # raw pixels, 0 to 255: the model normalises them itself
model = keras_vix.build("performer_softmax", m=32, dataset="digits")
model.fit(*data.train, validation_data=data.validation, batch_size=64, epochs=10, verbose=2)
print(model.evaluate(*data.test, return_dict=True, verbose=0))
model.save("digits.keras")

again = keras_vix.load("digits.keras")
print(again.predict(data.test.x[:8], verbose=0).argmax(-1), data.test.y[:8])
print(keras_vix.describe("performer_softmax", m=32, dataset="digits"))
