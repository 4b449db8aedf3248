"""Weights from files of this and other frameworks.

A reader is a module with `FACTS` for `wsss.study.registry`, the suffixes of its files, and `read(path)`,
which gives a state dict or raises `ValueError`. It is imported only where such a file is read.
"""
