startTheme();
startTables();
startScroll();
startGallery();
startTraining();
startParallel();
startCharts();
