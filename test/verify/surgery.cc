#include "surgery.h"

#include <filesystem>

#include "base/thread_pool.h"
#include "coreml/delegate.h"
#include "pte/reader.h"
#include "pte/writer.h"
#include "testing/shared_data.h"
#include "tools/synth.h"

namespace diptych::testing {

Result<Surgery> Surgery::open(const std::string& path) {
  Surgery surgery;
  surgery.file_ = TRY(MappedFile::open(path, Use::Edit));
  surgery.program_ = TRY(pte::read(surgery.file_->bytes()));
  return surgery;
}

Status Surgery::edit(const std::function<void(mil::Function& function)>& change) {
  DigestCache digests;
  const auto rewritten = [&](const pte::Blob& blob) -> Result<pte::Blob> {
    coreml::DelegateModel model = TRY(coreml::read_delegate(blob.bytes(), file_));
    for (auto& function : model.model.program.functions) {
      change(*function);
      function->remove_dead();
    }
    const auto written = TRY(coreml::write_delegate(model.model.program, model.root_name, digests));
    return pte::Blob::own(TRY(read_all(*written.blob)));
  };
  for (pte::NamedData& data : program_.named_data) {
    if (data.key.starts_with("coreml_")) data.data = TRY(rewritten(data.data));
  }
  for (pte::Method& method : program_.methods) {
    for (pte::Delegate& delegate : method.delegates) {
      if (coreml::is_reference(delegate.processed.bytes())) continue;
      delegate.processed = TRY(rewritten(delegate.processed));
    }
  }
  return {};
}

Status Surgery::save(const std::string& path) const {
  return write_file(path, *TRY(pte::write(program_)));
}

mil::Op* find_op(mil::Function& function, std::string_view prefix, std::string_view type,
                 size_t n) {
  for (const auto& op : function.ops) {
    if (op->type != type || op->results.empty() || !op->result()->name.starts_with(prefix))
      continue;
    if (n-- == 0) return op.get();
  }
  return nullptr;
}

mil::Value*& operand(mil::Op& op, std::string_view param, size_t n) {
  for (mil::Operand& candidate : op.operands) {
    if (candidate.param == param) return candidate.values.at(n);
  }
  return op.operands.front().values.front();
}

mil::Value* find_constant(mil::Function& function, std::string_view prefix) {
  for (mil::Value* constant : function.constants()) {
    if (constant->name.starts_with(prefix)) return constant;
  }
  return nullptr;
}

WeightRef changed(const Weight& weight, const std::function<float(size_t index, float)>& change) {
  const auto elements = read_floats(weight).value();
  std::vector<double> values;
  for (size_t i = 0; i < elements.size(); ++i) {
    values.push_back(static_cast<double>(change(i, elements[i])));
  }
  return constant_floats(weight.dtype(), weight.shape(), values);
}

Result<std::string> checkpoint(const std::string& family, const std::string& shape) {
  tools::SynthOptions options;
  options.family = family;
  options.shape = shape;
  options.dtype = DType::F32;
  options.seed = 3;
  options.form = family == "llama" ? tools::SynthForm::Meta : tools::SynthForm::HuggingFace;
  options.directory = temporary_directory() + "/" + family + std::to_string(shape.size());
  if (std::filesystem::exists(options.directory)) return options.directory;
  ThreadPool pool(2);
  Progress silent;
  TRY(tools::synth(options, pool, silent));
  return options.directory;
}

}  // namespace diptych::testing
