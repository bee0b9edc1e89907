#include "export_models.h"

#include "testing/shared_data.h"

namespace diptych::testing {

Result<exporter::Options> export_options(const GoldenModel& golden) {
  exporter::Options options;
  options.max_context_len = golden.max_context;
  options.input_len = golden.input_len;
  options.dtype = golden.fp32 ? DType::F32 : DType::F16;
  options.linear = TRY(exporter::linear_from_text(golden.linear));
  options.embedding = TRY(exporter::embedding_from_text(golden.embedding));
  options.split = {golden.target_split, golden.max_splits};
  options.graph_breaks = golden.graph_breaks;
  options.multifunction = golden.multifunction;
  return options;
}

Result<std::string> export_like(const GoldenModel& golden, const exporter::Options& options,
                                const std::string& name) {
  const std::string model = shared_data("golden/models/" + golden.model);
  const std::string path = temporary_directory() + "/" + name + ".pte";
  Progress silent;
  TRY(exporter::export_files(model + "/model.pth", model + "/params.json", path, options, silent));
  return path;
}

}  // namespace diptych::testing
