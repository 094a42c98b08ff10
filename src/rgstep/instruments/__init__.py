"""The diagnostics: one module each, plain functions on arrays and a row of the battery that applies them to a map."""
