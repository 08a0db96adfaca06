startTheme();
startTables();
startGallery();
startTraining();
startParallel();
startCharts();
