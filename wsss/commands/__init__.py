"""The commands of `wsss`, one module each.

A module defines its command and imports what it needs inside the function, so that `wsss --help` needs no
torch. `wsss/__main__.py` registers it in one line.
"""
