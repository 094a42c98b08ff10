"""The figures of the battery's rows, one module each: from the arrays of every map to a `Plate`."""
