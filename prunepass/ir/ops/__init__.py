"""Operator declarations, one module a family; each holds a sequence ``ops`` of :class:`prunepass.ir.Op`."""
