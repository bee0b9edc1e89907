// GPTQ's part of an export: runs a text through the model, layer by layer, and quantises each
// linear for the inputs that it sees there.
#pragma once

#include <map>
#include <string>

#include "base/error.h"
#include "base/progress.h"
#include "exporter/linear_choices.h"
#include "exporter/options.h"
#include "llama/params.h"
#include "llama/weights.h"
#include "quant/cache.h"
#include "quant/gptq.h"

namespace diptych::exporter {

// Quantises the linears whose algorithm is Gptq and puts them into `quantized`. On success returns
// the errors of their outputs by tensor. The texts run through our own engine (precise numerics,
// wide ports) on options.threads threads, stage by stage, each stage in its quantised form, so that
// every linear sees the inputs that it will have. Where round-to-nearest would leave less error in
// a linear's outputs, it is taken.
//
// In memory at a time are the hidden states of the texts, the weights of one layer, the moments of
// one input and the factor made of them (each width^2 floats), and all codes made so far.
Result<std::map<std::string, quant::OutputError>> calibrate(const llama::Params& params,
                                                            const llama::PreparedWeights& weights,
                                                            const std::vector<NamedLinear>& linears,
                                                            const Options& options,
                                                            quant::Cache& quantized,
                                                            Progress& progress);

// The most bytes that calibrate() holds at a time, the layer's weights excepted.
uint64_t calibration_bytes(const llama::Params& params, const std::vector<NamedLinear>& linears,
                           const Options& options);

}  // namespace diptych::exporter
