# Height of loblolly pine (m) by age (years): fits the curve and scores it on trees that it has not seen.
# Base R only. Writes what the gate reads: metrics.json and predictions.csv; both are committed.

train <- rbind(read.csv("data/reference.csv"), read.csv("data/new_batch.csv"))
benchmark <- read.csv("data/benchmark.csv")

# A straight line; README.md says what to try instead.
model <- lm(height_m ~ age, data = train)

predicted <- predict(model, benchmark)
error <- predicted - benchmark$height_m

# What any R script needs to take part: a table of predictions, and a line of metrics. rmse: root mean squared error, m.
# bias: mean of prediction minus measurement, m. n: number of measurements.
write.csv(
  data.frame(id = benchmark$id, truth = benchmark$height_m, prediction = round(predicted, 4), group = benchmark$seed),
  "predictions.csv", row.names = FALSE, quote = FALSE
)
writeLines(
  sprintf('{"rmse": %.4f, "bias": %.4f, "n": %d}', sqrt(mean(error^2)), mean(error), length(error)), "metrics.json"
)

# Where to look first.
worst <- head(order(-abs(error)), 3)
cat(sprintf("rmse %.3f m on %d trees and ages; worst: %s\n", sqrt(mean(error^2)), length(error),
            paste(benchmark$id[worst], collapse = ", ")))
