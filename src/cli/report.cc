// diptych report: a file as one page of HTML.

#include "report/report.h"

#include "cli/command.h"
#include "cli/side_file.h"
#include "cli/terminal.h"

namespace diptych::cli {

Action setup_report(Parser& parser) {
  struct Arguments {
    std::string model, output = "report.html";
    report::Options options;
  };
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  parser.add_option("model", a.model, "The .pte or Core ML model to show")->required();
  parser.add_option("-o,--output", a.output, "The page to write")->show_default();
  parser.add_flag("--profile", a.options.profile,
                  "Time decoding, beside what this machine can do (some seconds)");
  auto* verify = parser.add_flag("--verify", a.options.verify,
                                 "Run all checks of diptych verify (up to a minute)");
  parser
      .add_option("--source", a.options.source, "For the checks: what the file was exported from")
      ->needs(verify);
  add_threads_option(parser, a.options.threads);
  return [arguments]() -> Status {
    stop_on_interrupt();
    auto file = TRY(SideFile::create(arguments->output));
    ProgressBar progress;
    const auto contents = TRY(report::gather(arguments->model, arguments->options, progress));
    progress.finish();
    TRY(file.write([&] { return report::page(contents); }));
    return write_results(arguments->output + "\n");
  };
}

}  // namespace diptych::cli
