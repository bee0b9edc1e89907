// diptych extract: the Core ML packages of a .pte.

#include "tools/extract.h"

#include <fmt/format.h>

#include "base/human.h"
#include "cli/command.h"
#include "cli/terminal.h"

namespace diptych::cli {

Action setup_extract(Parser& parser) {
  struct Arguments {
    std::string model, directory = "extracted_coreml_models";
  };
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  parser.add_option("model", a.model, "The .pte to take packages from")->required();
  parser
      .add_option("-o,--output", a.directory,
                  "Directory for the packages; earlier extracts of the same names are replaced")
      ->show_default();
  return [arguments]() -> Status {
    const auto packages = TRY(tools::extract(arguments->model, arguments->directory));
    uint64_t bytes = 0;
    std::string paths;
    for (const tools::ExtractedPackage& package : packages) {
      bytes += package.bytes;
      paths += package.path + "\n";
    }
    fmt::print(stderr, "{} packages, {}\n", packages.size(), human_bytes(bytes));
    return write_results(paths);
  };
}

}  // namespace diptych::cli
