// What options leave to the model: the text to calibrate on, the form of norms, what its card says
// of the export.
#pragma once

#include <string>

#include "base/error.h"
#include "base/progress.h"
#include "exporter/options.h"
#include "exporter/source.h"

namespace diptych::exporter {

// Completes the options for a model that was opened from `path`, before its export. What the user
// should know is added to the model's notes. Errors: those of running the model on a text.
Status complete(const std::string& path, Progress& progress, Model& model, Options& options);

// The part of it that reads no tensor, for a forecast.
Status complete_from_headers(const std::string& path, Model& model, Options& options);

}  // namespace diptych::exporter
