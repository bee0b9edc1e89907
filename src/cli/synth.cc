// diptych synth: a random checkpoint of a known shape.

#include "tools/synth.h"

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/terminal.h"

namespace diptych::cli {

Action setup_synth(CLI::App& parser) {
  struct Arguments {
    tools::SynthOptions options;
    std::string dtype = "bf16";
    int threads = 0;
  };
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  parser
      .add_option(
          "--shape", a.options.shape,
          "260k, 110m, 1b, 3b, 8b, or dim=…,layers=…,heads=…[,kv_heads=…,hidden=…,vocab=…,\n"
          "head_dim=…,qk_norm=…,qkv_bias=…,tied=…]")
      ->required();
  parser.add_option("-o,--output", a.options.directory, "Directory for model.pth and params.json")
      ->required();
  parser.add_option("--dtype", a.dtype, "Element type")
      ->check(CLI::IsMember({"bf16", "fp16", "fp32"}))
      ->capture_default_str();
  parser.add_option("--seed", a.options.seed, "Same seed, same bytes")->capture_default_str();
  parser.add_option("--threads", a.threads, "Threads; 0: all CPUs of this process")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  return [arguments]() -> Status {
    arguments->options.dtype = TRY(dtype_from_name(arguments->dtype));
    ThreadPool pool(arguments->threads);
    stop_on_interrupt();
    ProgressBar progress;
    const tools::SynthReport report = TRY(tools::synth(arguments->options, pool, progress));
    progress.finish();
    fmt::print(stderr, "{:.1f} M parameters, {}\n", static_cast<double>(report.parameters) / 1e6,
               human_bytes(report.bytes));
    return write_results(fmt::format("{}\n{}\n", report.checkpoint, report.params));
  };
}

}  // namespace diptych::cli
