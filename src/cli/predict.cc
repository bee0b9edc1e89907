// diptych predict: one call of a function of any Core ML program, with arrays from files.
#include "tools/predict.h"

#include "base/file.h"
#include "base/in_quotes.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "host/model.h"

namespace diptych::cli {

namespace {

struct PredictArguments {
  std::string model, function, output, numerics;
  std::vector<std::string> inputs;
  int threads = 0;
  bool json = false;
};

// "x=a.npy": one array; "io.npz": those of a file, by their names.
Status add_input(const std::string& text, numpy::Arrays& arrays) {
  const auto add = [&](const std::string& name, numpy::Array array) -> Status {
    if (arrays.emplace(name, std::move(array)).second) return {};
    return usage_error(fmt::format("two arrays for input {}", in_quotes(name)));
  };
  if (const size_t equals = text.find('='); equals != text.npos && equals > 0) {
    return add(text.substr(0, equals), TRY(numpy::read_npy(text.substr(equals + 1))));
  }
  if (!text.ends_with(".npz")) {
    return usage_error(
        fmt::format("expected NAME=FILE.npy or FILE.npz, found {}", in_quotes(text)));
  }
  for (auto& [name, array] : TRY(numpy::read_npz(text))) TRY(add(name, std::move(array)));
  return {};
}

Status write_arrays(const std::string& path, const tools::NamedArrays& arrays) {
  std::vector<std::pair<std::string, const numpy::Array*>> entries;
  for (const auto& [name, array] : arrays) entries.emplace_back(name, &array);
  auto file = TRY(AtomicFile::create(path));
  TRY(numpy::write_npz(entries, *file));
  return file->commit();
}

Status run_predict(const PredictArguments& a) {
  numpy::Arrays inputs;
  for (const std::string& input : a.inputs) TRY(add_input(input, inputs));
  host::Options options;
  if (!a.numerics.empty()) options.numerics = TRY(as_usage(engine::numerics_from_name(a.numerics)));
  options.threads = a.threads;
  const auto model = TRY(host::Model::open(a.model, options));
  const auto function = TRY(model->load(a.function));
  const auto outputs = TRY(within(a.model, tools::predict(*function, inputs)));
  if (!a.output.empty()) TRY(write_arrays(a.output, outputs));
  if (a.json) return write_results(tools::to_json_text(outputs, function->signature()));
  return a.output.empty() ? write_results(tools::to_text(outputs, function->signature()))
                          : Status();
}

}  // namespace

Action setup_predict(Parser& parser) {
  auto arguments = std::make_shared<PredictArguments>();
  PredictArguments& a = *arguments;
  parser
      .add_option("model", a.model,
                  "A .mlpackage, .mlmodel or .mlmodelc with an ML Program, or a .pte")
      ->required();
  parser
      .add_option(
          "-i,--input", a.inputs,
          "NAME=FILE.npy for an input, or FILE.npz for those that it names; more than once.\n"
          "Inputs of a .pte are called input_0, input_1 …")
      ->one_value_each();
  parser.add_option("-f,--function", a.function, "Function to call (default: the model's own)");
  parser.add_option("-o,--output", a.output, "Write the outputs here, as a .npz");
  parser.add_flag("--json", a.json, "Print the outputs as an object");
  parser.add_option("-t,--threads", a.threads, "Threads; 0: all CPUs of this process")
      ->check(integer_between(0, 1024));
  parser.add_option(
      "--numerics", a.numerics,
      "How the engine rounds: precise, fast or typed, docs/engine.md (default: precise)");
  return [arguments] { return run_predict(*arguments); };
}

}  // namespace diptych::cli
