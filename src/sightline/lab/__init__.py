"""The laboratory: one file an experiment, each an idea of the field that one can run, see and check.

An experiment uses the other rooms as any program would and states its claims as checks. This room imports anything; only
`api` imports it.
"""
