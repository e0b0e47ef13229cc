# The stub and the docstrings are complete, for type checkers and for help().

import ast
import pathlib

import mews
import pytest

STUB = ast.parse(pathlib.Path(mews.__file__).with_name(
    "__init__.pyi").read_text())
CLASSES = {node.name: node for node in STUB.body
    if isinstance(node, ast.ClassDef) and not node.name.startswith("_")}


def methods(node):
	"""The methods of a class of the stub, and of its bases there."""
	for base in node.bases:
		if isinstance(base, ast.Name) and base.id.startswith("_"):
			yield from methods(next(n for n in STUB.body
			    if isinstance(n, ast.ClassDef) and n.name == base.id))
	for item in node.body:
		if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
			yield item.name


def test_every_name_is_in_the_stub():
	known = set(CLASSES) | {node.name for node in STUB.body
	    if isinstance(node, ast.FunctionDef)} | {
	    alias.asname for node in STUB.body
	    if isinstance(node, ast.ImportFrom) for alias in node.names}
	for name in mews.__all__:
		assert name in known and getattr(mews, name) is not None


@pytest.mark.parametrize("name", CLASSES)
def test_the_stub_tells_the_truth(name):
	cls = getattr(mews, name)
	for method in methods(CLASSES[name]):
		if name == "Row" and method == "__getattr__":
			method = "__getattribute__"
		assert hasattr(cls, method), method


def test_everything_public_is_explained():
	for name in mews.__all__:
		thing = getattr(mews, name)
		assert thing.__doc__, name
	for cls in (mews.Fleet, mews.Pool, mews.Lease, mews.Transaction,
	    mews.Savepoint, mews.Listener, mews.AsyncPool, mews.AsyncLease):
		for name in dir(cls):
			if not name.startswith("_") and callable(
			    getattr(cls, name)):
				assert getattr(cls, name).__doc__, name
