"""The tools: one module per verb of `sgg`, each with one function `main(argv)`."""
