startTheme();
startTables();
startGallery();
startTraining();
startCharts();
