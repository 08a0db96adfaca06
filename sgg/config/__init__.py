"""The config: a class for each folder of `conf/`, how overrides become one, and how it is frozen."""
