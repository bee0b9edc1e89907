"""Sweeps: a grid of exports, each verified and evaluated, on one machine or on a Ray cluster.

`diptych-sweep plan.toml` (or `python -m diptych.sweep plan.toml`) is the command; docs/guide/sweep.md says how
plans look. The modules are the way of a sweep:

    plan        the plan, read and checked
    inputs      the files that it names, with digests
    forecast    what the exports will take, from headers alone
    cells       the plan as cells, each under a key of all that its result follows from
    work        what a worker does for a part of a cell
    tasks       the same for tasks of lm-eval
    local, ray_cluster   where parts of cells run
    run         the cells that have no result yet, and their results as they come
    results     the log of results
    table, page what came out
"""
