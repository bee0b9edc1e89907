#include "measure/trace.h"

#include "base/json.h"

namespace diptych::measure {

namespace {

// Since the clock's beginning, to the nanosecond.
std::string microseconds(engine::RunObserver::Time::duration time) {
  using Nanoseconds = std::chrono::nanoseconds;
  const auto count = std::chrono::duration_cast<Nanoseconds>(time).count();
  return fmt::format("{}.{:03}", count / 1000, count % 1000);
}

std::string json_string(std::string_view text) { return dump_json(Json(text)); }

}  // namespace

void Trace::begin_event() { events_ += events_.empty() ? "\n" : ",\n"; }

void Trace::add(const std::string& track, const std::vector<Profiler::Event>& events) {
  const int thread = ++tracks_;
  begin_event();
  events_ +=
      fmt::format(R"({{"ph":"M","pid":1,"tid":{},"name":"thread_name","args":{{"name":{}}}}})",
                  thread, json_string(track));
  const auto add_span = [&](std::string_view name, engine::RunObserver::Time begin,
                            engine::RunObserver::Time end, const std::string& arguments) {
    begin_event();
    events_ +=
        fmt::format(R"({{"ph":"X","pid":1,"tid":{},"name":{},"ts":{},"dur":{},"args":{{{}}}}})",
                    thread, json_string(name), microseconds(begin.time_since_epoch()),
                    microseconds(end - begin), arguments);
  };
  engine::RunObserver::Time call_begin;
  for (const Profiler::Event& event : events) {
    const engine::StepInfo info = step_info(*event.executable, event.step);
    if (event.step == 0) call_begin = event.begin;
    std::string arguments = fmt::format(R"("value":{})", json_string(info.name));
    if (info.work.layer >= 0) arguments += fmt::format(R"(,"layer":{})", info.work.layer);
    add_span(info.op, event.begin, event.end, arguments);
    if (event.step == event.executable->step_count()) {
      add_span(event.executable->name(), call_begin, event.end, "");
    }
  }
}

std::string Trace::json() const {
  return fmt::format(R"({{"displayTimeUnit":"ms","traceEvents":[{}]}})", events_) + "\n";
}

}  // namespace diptych::measure
