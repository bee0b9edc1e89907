"""launch.py MODULE ARGUMENT…: python -m MODULE ARGUMENT…, with diptych's backend registered first."""

import runpy
import sys

import diptych

diptych.register()
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
