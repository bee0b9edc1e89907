#include "coreml/delegate.h"
#include "coreml/memory_fs.h"
#include "coreml/package.h"

namespace diptych::coreml {

namespace {

ArgumentNames names_of(const mil::Function& function) {
  ArgumentNames names;
  for (const mil::Value* input : function.inputs) names.inputs.push_back(input->name);
  for (const mil::Value* output : function.outputs) names.outputs.push_back(output->name);
  return names;
}

}  // namespace

Result<DelegateBlob> write_delegate(const mil::Program& program, std::string_view root_name,
                                    DigestCache& cache, std::shared_ptr<ThreadPool> pool) {
  const SerializedModel model = TRY(write_model(program));
  const Digest digest = model.digest(cache);
  const bool multifunction = program.functions.size() > 1;

  DelegateMetadata metadata;
  metadata.identifier = "executorch_" + uuid_from(digest);
  if (multifunction) {
    for (const auto& function : program.functions) {
      metadata.methods.emplace_back(function->name, names_of(*function));
    }
  } else {
    metadata.names = names_of(*program.functions.front());
  }

  std::vector<FileEntry> files = package_files(model, digest, std::move(pool));
  for (FileEntry& file : files) file.path = "model.mlpackage/" + file.path;
  files.push_back({"metadata.json", memory_source(format_metadata(metadata))});

  DelegateBlob result;
  result.identifier = metadata.identifier;
  result.blob = TRY(write_memory_fs(root_name, files));
  if (multifunction) result.key = "coreml_" + metadata.identifier;
  return result;
}

}  // namespace diptych::coreml
