// The ways to open a Model. Private to src/host.
#pragma once

#include "base/file.h"
#include "host/model.h"

namespace diptych::host {

// A package's directory, or a .mlmodel.
Result<std::shared_ptr<const Model>> open_core_ml(const std::string& path, const Options& options);
Result<std::shared_ptr<const Model>> open_program(const std::string& path,
                                                  std::shared_ptr<const MappedFile> file,
                                                  const Options& options);

// The error for a function that there is not.
tl::unexpected<Error> no_function(const std::string& path, const std::string& name,
                                  std::vector<std::string> functions);

}  // namespace diptych::host
