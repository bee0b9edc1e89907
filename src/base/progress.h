// The one progress idiom: library calls report to a Progress, the command line shows it.
#pragma once

#include <cstdint>
#include <string_view>

namespace diptych {

// Told about long work. Library code calls begin() once per stage and then advance(); both return
// quickly. The base class stays silent.
class Progress {
 public:
  virtual ~Progress() = default;
  virtual void begin(std::string_view /*stage*/, uint64_t /*total*/) {}
  virtual void advance(uint64_t /*done*/) {}
  virtual void finish() {}
  // Whether the user wants the work to end; long work then fails with ErrorCode::Cancelled.
  virtual bool cancelled() const { return false; }
};

}  // namespace diptych
