"""Weights from files of this and other frameworks."""
