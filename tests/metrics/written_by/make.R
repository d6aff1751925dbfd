# Metrics and predictions as R writes them: a base, a better and a worse model. See make.py.
#   Rscript tests/metrics/written_by/make.R   (caret, jsonlite, readr, rpart)
suppressPackageStartupMessages({library(caret); library(jsonlite); library(readr)})
options(digits = 7)
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
out <- function(name, side, end) file.path(here, "R", sprintf("%s-%s.%s", name, side, end))
dir.create(file.path(here, "R"), showWarnings = FALSE)
set.seed(1)
n <- 150
d <- data.frame(a = rnorm(n), b = rnorm(n), c = rnorm(n), noise = rnorm(n))
d$soc <- 20 + 3 * d$a - 2 * d$b + d$c + rnorm(n)
d$class <- factor(ifelse(d$soc > 20, "rich", "poor"))
train <- d[1:90, ]; test <- d[91:150, ]
formulas <- list(base = soc ~ a + noise, better = soc ~ a + b + c, worse = soc ~ noise)
for (side in names(formulas)) {
  model <- lm(formulas[[side]], train)
  pred <- predict(model, test)
  metrics <- postResample(pred, test$soc)
  write.csv(metrics, out("postResample", side, "csv"))
  write.csv(as.data.frame(t(metrics)), out("data_frame", side, "csv"))
  write.csv2(as.data.frame(t(metrics)), out("write_csv2", side, "csv"))
  write.table(as.data.frame(t(metrics)), out("write_table", side, "tsv"), sep = "\t", quote = FALSE)
  write_csv(data.frame(.metric = c("rmse", "rsq", "mae"), .estimator = "standard", .estimate = unname(metrics)),
            out("tidymodels", side, "csv"))
  write_json(as.list(metrics), out("write_json", side, "json"))
  write_json(data.frame(rmse = metrics[["RMSE"]], r2 = metrics[["Rsquared"]]), out("rows", side, "json"))
  write_json(list(rmse = metrics[["RMSE"]], mae = metrics[["MAE"]]), out("unboxed", side, "json"),
             auto_unbox = TRUE, digits = NA)
  s <- summary(model)
  write_json(list(r.squared = s$r.squared, adj.r.squared = s$adj.r.squared, AIC = AIC(model), BIC = BIC(model)),
             out("summary_lm", side, "json"), auto_unbox = TRUE)
  cat(sprintf("RMSE = %.4f\nR2 = %.4f\n", metrics[["RMSE"]], metrics[["Rsquared"]]), file = out("cat", side, "txt"))
  set.seed(2)
  cv <- train(formulas[[side]], d, method = "lm", trControl = trainControl("cv", 5, savePredictions = TRUE))
  write.csv(cv$results, out("caret_results", side, "csv"))
  write.csv(cv$resample, out("caret_resample", side, "csv"), row.names = FALSE)
  write.csv(cv$pred, out("caret_pred", side, "csv"), row.names = FALSE)
  tree <- rpart::rpart(update(formulas[[side]], class ~ .), train, cp = 0.01)
  cm <- confusionMatrix(predict(tree, test, type = "class"), test$class)
  write.csv(cm$overall, out("confusionMatrix_overall", side, "csv"))
  write.csv(as.data.frame(cm$table), out("confusionMatrix_table", side, "csv"), row.names = FALSE)
  probs <- as.data.frame(predict(tree, test))
  write.csv(cbind(rowIndex = 91:150, obs = test$class, pred = predict(tree, test, type = "class"), probs),
            out("classes", side, "csv"), row.names = FALSE)
}
packages <- c("caret", "jsonlite", "readr", "rpart")
versions <- vapply(packages, function(p) as.character(packageVersion(p)), "")
writeLines(c(paste("R", getRversion()), paste(packages, versions)), file.path(here, "R", "versions.txt"))
