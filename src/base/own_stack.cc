#include "base/own_stack.h"

#include <pthread.h>

#include <exception>
#include <system_error>

namespace diptych {

namespace {
constexpr size_t kStackBytes = size_t{16} << 20;
}

struct OwnStackThread::State {
  std::function<void()> body;
  pthread_t thread{};

  static void* run(void* state) {
    static_cast<State*>(state)->body();
    return nullptr;
  }
};

OwnStackThread::OwnStackThread(std::unique_ptr<State> state) : state_(std::move(state)) {}
OwnStackThread::OwnStackThread(OwnStackThread&&) noexcept = default;

OwnStackThread::~OwnStackThread() {
  if (state_ != nullptr) pthread_join(state_->thread, nullptr);
}

Result<OwnStackThread> OwnStackThread::start(std::function<void()> body) {
  auto state = std::make_unique<State>();
  state->body = std::move(body);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  const int error = pthread_create(&state->thread, &attributes, State::run, state.get());
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    return fail(ErrorCode::Io, "cannot start a thread: {}", std::generic_category().message(error));
  }
  return OwnStackThread(std::move(state));
}

Status on_own_stack(const std::function<void()>& work) {
  std::exception_ptr thrown;
  {
    const OwnStackThread thread = TRY(OwnStackThread::start([&] {
      try {
        work();
      } catch (...) {
        thrown = std::current_exception();
      }
    }));
  }
  if (thrown) std::rethrow_exception(thrown);
  return {};
}

}  // namespace diptych
