// diptych synth: a random checkpoint of a known shape.

#include "tools/synth.h"

#include <fmt/format.h>

#include "base/human.h"
#include "base/json_fwd.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "llama/families.h"

namespace diptych::cli {

namespace {

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const llama::Family& family : llama::families()) names.emplace_back(family.name);
  return names;
}

}  // namespace

Action setup_synth(Parser& parser) {
  struct Arguments {
    tools::SynthOptions options;
    std::string dtype = "bf16", format = "meta";
    int threads = 0;
    bool dry_run = false;
  };
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  parser
      .add_option(
          "--shape", a.options.shape,
          "260k, 110m, 1b, 3b, 8b, or dim=…,layers=…,heads=…[,kv_heads=…,hidden=…,vocab=…,\n"
          "head_dim=…,qk_norm=…,qkv_bias=…,tied=…,window=…,full_layers=…]")
      ->required();
  parser.add_option("-o,--output", a.options.directory, "Directory for the model's files");
  parser
      .add_option("--format", a.format,
                  "meta: model.pth, params.json (which cannot say Mistral's window);\n"
                  "hf: model.safetensors, config.json; gguf: model.gguf")
      ->check(one_of({"meta", "hf", "gguf"}))
      ->show_default();
  parser
      .add_option("--family", a.options.family,
                  "What the model has beyond a Llama's (docs/formats/families.md)")
      ->check(one_of(family_names()))
      ->show_default();
  parser.add_option("--shards", a.options.shards, "Files to spread hf's tensors over")
      ->show_default();
  parser.add_option("--dtype", a.dtype, "Element type")
      ->check(one_of({"bf16", "fp16", "fp32"}))
      ->show_default();
  parser.add_flag("--dry_run", a.dry_run,
                  "Write nothing; print what params.json, or hf's config.json, would say");
  parser.add_flag("--force", a.options.force,
                  "Write into a directory that holds a model, over files of the same names");
  parser.add_option("--seed", a.options.seed, "Same seed, same bytes")->show_default();
  add_threads_option(parser, a.threads);
  return [arguments]() -> Status {
    arguments->options.dtype = TRY(dtype_from_name(arguments->dtype));
    arguments->options.form = arguments->format == "meta" ? tools::SynthForm::Meta
                              : arguments->format == "hf" ? tools::SynthForm::HuggingFace
                                                          : tools::SynthForm::Gguf;
    if (arguments->dry_run) {
      return write_results(dump_json(TRY(tools::synth_description(arguments->options)), 2) + "\n");
    }
    if (arguments->options.directory.empty()) return usage_error("--output is required");
    ThreadPool pool(arguments->threads);
    stop_on_interrupt();
    ProgressBar progress;
    const tools::SynthReport report = TRY(tools::synth(arguments->options, pool, progress));
    progress.finish();
    fmt::print(stderr, "{:.1f} M parameters, {}\n", static_cast<double>(report.parameters) / 1e6,
               human_bytes(report.bytes));
    std::string files = report.checkpoint + "\n";
    if (!report.params.empty()) files += report.params + "\n";
    return write_results(files);
  };
}

}  // namespace diptych::cli
