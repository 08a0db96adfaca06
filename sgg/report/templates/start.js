startTheme();
startTables();
startGallery();
startTraining();
startParallel();
startCharts();
startScroll(); // last: the others make boxes that scroll
