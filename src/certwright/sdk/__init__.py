"""All that a plugin author imports.

A plugin is one file in the folder of its kind. It holds, in order: a docstring (its documentation page), `Params` (one
pydantic model: form, command-line flags, validation, JSON Schema and documentation come from it), and the class.
"""
