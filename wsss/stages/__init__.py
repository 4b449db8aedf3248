"""What the rules do, one module or package per stage, named as its rule, section and results folder."""
