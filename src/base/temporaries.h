// What must not outlive the process under its name, so that a signal that ends the process can
// still remove it. Only SIGKILL and a loss of power leave it behind.
#pragma once

#include <string>

namespace diptych {

// Known from construction, which comes before the thing itself is made, to destruction, which
// comes after it was removed or got its final name. Does nothing when too many are known already.
class Temporary {
 public:
  enum class Kind : unsigned char { File, Tree, EmptyDirectory };  // the last stays when it is not
  Temporary(Kind kind, const std::string& path);
  ~Temporary() { forget(); }
  Temporary(Temporary&& other) noexcept : slot_(other.slot_) { other.slot_ = nullptr; }
  Temporary& operator=(Temporary&& other) noexcept;
  void forget();

 private:
  struct Slot;
  friend void remove_temporaries() noexcept;
  static Slot slots_[];
  Slot* slot_ = nullptr;
};

// A name beside `path` that nothing is likely to have: its own with six random characters.
std::string temporary_name(const std::string& path);

// Removes all that are known. May be called in a signal handler.
void remove_temporaries() noexcept;

// Removes a directory with all that is in it, following no links. May be called in a signal
// handler.
void remove_tree(const char* path) noexcept;

}  // namespace diptych
