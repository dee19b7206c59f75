"""The benchmark: units of work in, one file a result, tables and figures out.

`unit` trains and measures one model; `runner` gives every unit a process of its own; `store` keeps one file for each;
`tables`, `plots` and `report` are functions of the stored rows. Nothing is imported here, so that a child process that
runs `keras_vix.bench.child` loads no more than it needs.
"""
