"""What the converter from TensorFlow to ONNX lacks of the operations of Keras' layers."""

import numpy as np


def teach() -> None:
    """Tell tf2onnx what it does not know yet: `Erfc`, which TensorFlow makes exact GELU of."""
    from tf2onnx.handler import tf_op

    known = {name for level in tf_op.get_opsets().get("", []) for name in level}
    if "Erfc" not in known:
        tf_op("Erfc")(Erfc)


class Erfc:
    """`erfc(x) = 1 - erf(x)`."""

    @classmethod
    def version_9(cls, context, node, **_) -> None:
        """With the operation `Erf`, which ONNX has from version 9 on."""
        from tf2onnx.utils import map_onnx_to_numpy_type

        shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
        one = context.make_const(f"{node.name}_one", np.array(1, map_onnx_to_numpy_type(dtype)))
        error = context.make_node("Erf", node.input[:1])
        context.remove_node(node.name)
        terms = [one.output[0], error.output[0]]
        context.make_node("Sub", terms, name=node.name, outputs=node.output, shapes=[shape], dtypes=[dtype])
