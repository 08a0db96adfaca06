"""The config: a class for each folder of `conf/`, how words become one, and how it is frozen."""
