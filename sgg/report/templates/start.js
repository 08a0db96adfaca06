startTheme();
startTables();
startGallery();
startTraining();
startCharts();
startParallel();
