"""Maps moved by whole pixels."""

from keras import ops


def shift_and_concatenate(x, step: int):
    """A map beside its four diagonal neighbours: `(batch, rows, columns, c) -> (batch, rows, columns, 5 c)`.

    The copies, after the map itself, show at each place what lies `step` pixels up and left of it, up and right, down and
    left, down and right; zeros beyond the border.
    """
    rows, columns = x.shape[1:3]
    padded = ops.pad(x, ((0, 0), (step, step), (step, step), (0, 0)))
    corners = ((0, 0), (0, 2 * step), (2 * step, 0), (2 * step, 2 * step))
    return ops.concatenate([x, *(padded[:, i : i + rows, j : j + columns] for i, j in corners)], axis=-1)


def turn(x, rows: int, columns: int):
    """A map `(batch, rows, columns, c)` moved down and right; what leaves at one side comes in at the other.

    As `ops.roll`, but of parts put together, since LiteRT has no such operation.
    """
    for axis, step in ((1, rows), (2, columns)):
        cut = -step % x.shape[axis]
        if cut:
            ahead, behind = (x[:, cut:], x[:, :cut]) if axis == 1 else (x[:, :, cut:], x[:, :, :cut])
            x = ops.concatenate([ahead, behind], axis=axis)
    return x
