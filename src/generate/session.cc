#include "generate/session.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <future>
#include <limits>

#include "base/in_quotes.h"
#include "engine/cells.h"
#include "generate/masks.h"
#include "runtime/coreml_payload.h"

namespace diptych::generate {

namespace {

size_t width_of(DType dtype) { return static_cast<size_t>(bit_width(dtype)) / 8; }

using MethodLoading = std::future<Result<std::unique_ptr<runtime::Method>>>;

// Loads the functions' methods, side by side when the program has more than one thread. What is
// passed must outlive the result.
std::vector<MethodLoading> load_methods(runtime::Program& program,
                                        const std::vector<contract::Function>& functions) {
  // Where the system gives no more threads, the methods load one after another.
  const auto when = program.threads().threads() > 1 ? std::launch::async | std::launch::deferred
                                                    : std::launch::deferred;
  std::vector<MethodLoading> methods;
  methods.reserve(functions.size());
  for (const contract::Function& function : functions) {
    methods.push_back(std::async(when, [&program, &function] {
      return program.load_method(
          function.method.name,
          runtime::TokenInput{function.places.tokens, contract::Places::kTokenAxis});
    }));
  }
  return methods;
}

}  // namespace

std::vector<std::string> adapters(const runtime::Program& program) {
  std::vector<std::string> names;
  for (const std::string& method : program.method_names()) {
    const auto [name, adapter] = contract::adapted_name(method);
    if (adapter.empty() || !contract::role_of(name)) continue;
    if (std::find(names.begin(), names.end(), adapter) == names.end()) names.emplace_back(adapter);
  }
  return names;
}

Result<contract::Description> describe(const runtime::Program& program, std::string_view adapter) {
  TRY(runtime::check_has_coreml(program.container()));
  // The constants of a method are those of the methods that add an adapter to it, which differ from
  // it in their weights alone.
  std::vector<contract::MethodTypes> methods;
  for (const std::string& method : program.method_names()) {
    const auto [name, added] = contract::adapted_name(method);
    if (added != adapter || !contract::role_of(name)) continue;
    runtime::Program::Signature types = TRY(program.signature(method));
    methods.push_back({std::string(name), std::move(types.inputs), std::move(types.outputs)});
  }
  if (methods.empty() && !adapter.empty()) {
    const std::vector<std::string> known = adapters(program);
    if (known.empty()) return not_found("no adapter {}: the file has none", in_quotes(adapter));
    return not_found("no adapter {}, expected one of {}", in_quotes(adapter),
                     fmt::join(known, ", "));
  }
  contract::Description description = TRY(contract::read(program.container(), methods));
  for (contract::Function& function : description.functions) {
    function.method.name = contract::with_adapter(function.method.name, adapter);
  }
  return description;
}

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<runtime::Program> program,
                                                 std::string_view adapter) {
  contract::Description described = TRY(describe(*program, adapter));
  std::unique_ptr<Session> session(new Session(TRY(KvCache::create(described))));
  session->program_ = std::move(program);
  session->model_ = std::move(described);
  const contract::Description& model = session->model_;
  std::vector<MethodLoading> methods = load_methods(*session->program_, model.functions);
  for (size_t i = 0; i < methods.size(); ++i) {
    TRY(session->add_function(model.functions[i], TRY(methods[i].get())));
  }
  // Only now do they stay where they are.
  for (Loaded& loaded : session->loaded_) {
    if (const auto input = loaded.function->places.last_position) {
      TRY(loaded.method->bind_input(*input, std::as_bytes(std::span(&loaded.last_position, 1))));
    }
  }
  // Now, so that nothing is allocated while tokens are computed.
  session->logits_.reserve(static_cast<size_t>(model.vocab_size));
  session->calls_.reserve(1);
  session->history_.reserve(static_cast<size_t>(model.max_context));
  return session;
}

Status Session::add_function(const contract::Function& function,
                             std::unique_ptr<runtime::Method> loaded_method) {
  const contract::Places& at = function.places;
  Loaded loaded;
  loaded.function = &function;
  loaded.method = std::move(loaded_method);
  const auto input_size = [&](size_t index) { return packed_size(loaded.method->inputs()[index]); };
  const auto output_size = [&](size_t index) {
    return packed_size(loaded.method->outputs()[index]);
  };
  runtime::Method& method = *loaded.method;
  // Each buffer is where it stays: moving the vectors that own them does not move the bytes.
  const auto bind_inputs = [&](const std::vector<size_t>& places,
                               std::vector<std::vector<std::byte>>& buffers) -> Status {
    for (const size_t place : places) {
      TRY(method.bind_input(place, buffers.emplace_back(TRY(input_size(place)))));
    }
    return {};
  };
  const auto bind_outputs = [&](const std::vector<size_t>& places,
                                std::vector<std::vector<std::byte>>& buffers) -> Status {
    for (const size_t place : places) {
      TRY(method.bind_output(place, buffers.emplace_back(TRY(output_size(place)))));
    }
    return {};
  };
  loaded.tokens.resize(static_cast<size_t>(function.method.tokens));
  loaded.positions.resize(loaded.tokens.size());
  TRY(method.bind_input(at.tokens, std::as_bytes(std::span(loaded.tokens))));
  TRY(bind_inputs(at.masks, loaded.masks));
  TRY(bind_inputs(at.cos, loaded.cos));
  TRY(bind_inputs(at.sin, loaded.sin));
  for (size_t layer = 0; layer < model_.layers(); ++layer) TRY(bind_cache(loaded, layer));
  loaded.logits.resize(TRY(output_size(at.logits)));
  TRY(method.bind_output(at.logits, loaded.logits));
  TRY(method.want_output(at.logits, false));
  const MethodCost without_logits = cost_of(method.functions());
  TRY(method.want_output(at.logits, true));
  costs_.add_function(predict(without_logits, cost_of(method.functions()), function.method.tokens,
                              program_->threads().threads()));
  choices_.push_back({function.method.tokens, {}});
  loaded.fresh.tokens = function.method.tokens;
  TRY(bind_outputs(at.key_outputs, loaded.fresh.keys));
  TRY(bind_outputs(at.value_outputs, loaded.fresh.values));
  loaded_.push_back(std::move(loaded));
  return {};
}

Status Session::bind_cache(Loaded& loaded, size_t layer) {
  const contract::Places& at = loaded.function->places;
  TRY(loaded.method->bind_input(at.key_inputs[layer], cache_.keys(layer)));
  return loaded.method->bind_input(at.value_inputs[layer], cache_.values(layer));
}

void Session::set_position_row(Loaded& loaded, int64_t row, int64_t position) {
  loaded.positions[static_cast<size_t>(row)] = position;
  // Padding may run past the table; its rows are never looked at, but must be finite.
  const int64_t clamped = std::min(position, model_.max_context - 1);
  const size_t bytes = static_cast<size_t>(model_.rope_width) * width_of(model_.dtype);
  const size_t from = static_cast<size_t>(clamped) * bytes, to = static_cast<size_t>(row) * bytes;
  for (size_t table = 0; table < model_.ropes.size(); ++table) {
    std::copy_n(&model_.ropes[table].cos[from], bytes, &loaded.cos[table][to]);
    std::copy_n(&model_.ropes[table].sin[from], bytes, &loaded.sin[table][to]);
  }
}

void Session::set_visible(Loaded& loaded, int64_t row, const uint8_t* new_columns) {
  for (size_t i = 0; i < loaded.masks.size(); ++i) {
    const contract::LayerClass& layers = model_.classes[i];
    const Columns columns{cache_.first_position(layers), cache_.tokens(), loaded.positions};
    put_row(model_, layers, columns, row, new_columns, loaded.masks[i]);
  }
}

Status Session::prepare(Loaded& loaded, int64_t rows, bool with_logits) {
  TRY(loaded.method->want_output(loaded.function->places.logits, with_logits));
  TRY(loaded.method->limit_tokens(rows));
  for (const size_t layer : cache_.layers_with_window()) TRY(bind_cache(loaded, layer));
  return {};
}

Status Session::run(Loaded& loaded, int64_t rows, bool with_logits, Clock::time_point start) {
  TRY(prepare(loaded, rows, with_logits));
  TRY(loaded.method->execute());
  const double seconds = seconds_since(start);
  MethodStatistics& statistics = statistics_[loaded.function->method.name];
  ++statistics.calls;
  statistics.rows += static_cast<uint64_t>(rows);
  statistics.seconds += seconds;
  costs_.add(static_cast<size_t>(&loaded - loaded_.data()), rows, with_logits, seconds);
  return {};
}

std::span<const float> Session::logits_of(const Loaded& loaded, int64_t first_row, int64_t rows) {
  const auto vocab = static_cast<size_t>(model_.vocab_size);
  const size_t first = static_cast<size_t>(first_row) * vocab;
  logits_.resize(static_cast<size_t>(rows) * vocab);
  const DType dtype = model_.dtype;
  engine::widen(dtype, &loaded.logits[width_of(dtype) * first], logits_.size(),
                reinterpret_cast<std::byte*>(logits_.data()));
  return logits_;
}

Status Session::check_tokens(std::span<const int64_t> tokens) const {
  if (tokens.empty()) return invalid_argument("no tokens to evaluate");
  if (static_cast<int64_t>(tokens.size()) > remaining()) {
    return hinted(invalid_argument("{} tokens do not fit: {} of {} positions are left",
                                   tokens.size(), remaining(), model_.max_context),
                  Advice::LongerContext);
  }
  for (const int64_t token : tokens) {
    if (token < 0 || token >= model_.vocab_size) {
      return invalid_argument("token {} is outside the vocabulary, expected 0 to {}", token,
                              model_.vocab_size - 1);
    }
  }
  return {};
}

Session::Loaded& Session::function_for(int64_t rows) {
  for (Loaded& loaded : loaded_) {  // by rising number of tokens
    if (loaded.function->method.tokens >= rows) return loaded;
  }
  return loaded_.back();
}

Session::Loaded* Session::all_logits_function_for(int64_t rows) {
  Loaded* found = nullptr;
  for (Loaded& loaded : loaded_) {
    const contract::Method& method = loaded.function->method;
    if (!method.all_logits) continue;
    found = &loaded;
    if (method.tokens >= rows) break;
  }
  return found;
}

Session::Loaded& Session::verifying() {
  return *std::find_if(loaded_.begin(), loaded_.end(),
                       [this](const Loaded& loaded) { return loaded.function == model_.verify(); });
}

Result<Session::Chunk> Session::begin_chunk(Loaded& loaded, std::span<const int64_t> tokens,
                                            int64_t rows) {
  const int64_t cached = cache_.tokens(), pending = position() - cached;
  const int64_t wanted = pending + static_cast<int64_t>(tokens.size());
  const int64_t capacity = loaded.function->method.tokens;
  rows = std::min({rows, capacity, wanted});
  const int64_t tail = std::min(pending, rows);
  if (rows == tail && cache_.room() == 0) {
    return fail(ErrorCode::Internal, "{} tokens outside the cache leave no row for a new one",
                pending);
  }
  history_.insert(history_.end(), tokens.begin(), tokens.begin() + (rows - tail));
  for (int64_t row = 0; row < capacity; ++row) {
    const auto index = static_cast<size_t>(cached + row);
    loaded.tokens[static_cast<size_t>(row)] =
        row < rows ? static_cast<int32_t>(history_[index]) : 0;
    set_position_row(loaded, row, cached + row);
  }
  for (int64_t row = 0; row < capacity; ++row) set_visible(loaded, row, nullptr);
  loaded.last_position = rows - 1;
  return Chunk{&loaded, tail, rows};
}

void Session::keep_chunk(const Chunk& chunk) {
  const int64_t kept = std::min(cache_.room(), chunk.rows);
  for (int64_t row = 0; row < kept; ++row) cache_.append(chunk.loaded->fresh, row);
}

Result<Session::Chunk> Session::evaluate_chunk(Loaded& loaded, std::span<const int64_t> tokens,
                                               int64_t rows, Logits logits) {
  const auto start = Clock::now();
  const int64_t wanted = position() - cache_.tokens() + static_cast<int64_t>(tokens.size());
  const Chunk chunk = TRY(begin_chunk(loaded, tokens, rows));
  const bool with_logits =
      logits == Logits::Always || (logits == Logits::AtTheEnd && chunk.rows == wanted);
  TRY(run(loaded, chunk.rows, with_logits, start));
  keep_chunk(chunk);
  return chunk;
}

Status Session::catch_up() {
  while (cache_.room() > 0 && cache_.tokens() < position()) {
    const int64_t pending = position() - cache_.tokens();
    TRY(evaluate_chunk(function_for(pending), {}, pending, Logits::None));
  }
  return {};
}

Result<std::span<const float>> Session::evaluate(std::span<const int64_t> tokens,
                                                 const std::function<bool()>& cancelled) {
  TRY(check_tokens(tokens));
  plan(position() - cache_.tokens() + static_cast<int64_t>(tokens.size()));
  for (const PlannedCall& call : calls_) {
    const Chunk chunk =
        TRY(evaluate_chunk(loaded_[call.function], tokens, call.rows, Logits::AtTheEnd));
    tokens = tokens.subspan(static_cast<size_t>(chunk.rows - chunk.tail));
    if (tokens.empty()) {
      return logits_of(*chunk.loaded,
                       chunk.loaded->function->method.all_logits ? chunk.rows - 1 : 0, 1);
    }
    if (cancelled && cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
  }
  return fail(ErrorCode::Internal, "no method takes the {} tokens that are left", tokens.size());
}

void Session::plan(int64_t rows) {
  if (rows == 1) {  // the one of the fewest tokens, which are there for it
    calls_.assign(1, {only_.value_or(0), 1});
    return;
  }
  for (size_t i = 0; i < choices_.size(); ++i) choices_[i].cost = costs_.cost(i);
  const Stretch stretch{rows, cache_.room()};
  calls_ = only_ ? plan_alone(stretch, choices_, *only_) : plan_safely(stretch, choices_);
}

double Session::decoding_seconds() const { return costs_.cost(0).seconds(1, true); }

double Session::evaluating_seconds(int64_t tokens) const {
  if (tokens == 1) return decoding_seconds();
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < choices_.size(); ++i) {
    const CallCost cost = costs_.cost(i);
    const int64_t rows = choices_[i].tokens, full = (tokens - 1) / rows;
    least = std::min(least, static_cast<double>(full) * cost.seconds(rows, false) +
                                cost.seconds(tokens - full * rows, true));
  }
  return least;
}

double Session::verifying_seconds(int64_t rows) const {
  return costs_.cost(static_cast<size_t>(model_.verify() - model_.functions.data()))
      .seconds(rows, true);
}

Status Session::evaluate_each(std::span<const int64_t> tokens, const Visitor& visit) {
  TRY(check_tokens(tokens));
  TRY(catch_up());
  const auto vocab = static_cast<size_t>(model_.vocab_size);
  for (size_t done = 0; done < tokens.size();) {
    const std::span<const int64_t> rest = tokens.subspan(done);
    const int64_t tail = position() - cache_.tokens();
    // Together where a function takes the tail and something new, else one by one.
    Loaded* together = all_logits_function_for(tail + static_cast<int64_t>(rest.size()));
    if (together != nullptr && together->function->method.tokens <= tail) together = nullptr;
    const Chunk chunk =
        together != nullptr
            ? TRY(evaluate_chunk(*together, rest, together->function->method.tokens,
                                 Logits::Always))
            : TRY(evaluate_chunk(function_for(tail + 1), rest.first(1), tail + 1, Logits::Always));
    const int64_t fresh = chunk.rows - chunk.tail;
    const std::span<const float> logits =
        logits_of(*chunk.loaded, chunk.loaded->function->method.all_logits ? chunk.tail : 0, fresh);
    for (size_t i = 0; i < static_cast<size_t>(fresh); ++i) {
      TRY(visit(done + i, logits.subspan(i * vocab, vocab)));
    }
    done += static_cast<size_t>(fresh);
  }
  return {};
}

void Session::rewind(int64_t position) {
  history_.resize(static_cast<size_t>(position));
  cache_.rewind(std::min(cache_.tokens(), position));
}

int64_t Session::held_of(std::span<const int64_t> tokens) const {
  const auto differ = std::mismatch(tokens.begin(), tokens.end(), history_.begin(), history_.end());
  const int64_t held = std::min(differ.first - tokens.begin(), cache_.tokens());
  return cache_.can_rewind(held) ? held : 0;
}

void Session::copy_from(const Session& other, int64_t tokens) {
  history_.assign(other.history_.begin(), other.history_.begin() + tokens);
  cache_.copy_from(other.cache_, tokens);
}

Status Session::read_rows(Bytes rows, std::span<const int64_t> tokens) {
  history_.clear();
  cache_.rewind(0);
  TRY(check_tokens(tokens));
  TRY(cache_.read_rows(rows, static_cast<int64_t>(tokens.size())));
  history_.assign(tokens.begin(), tokens.end());
  return {};
}

bool Session::rows_fit(int64_t needed) const {
  return cache_.tokens() == position() && needed <= cache_.room() && needed <= remaining();
}

Result<std::span<const float>> Session::evaluate_rows(const Rows& rows) {
  const auto start = Clock::now();
  Loaded& loaded = verifying();
  const int64_t capacity = loaded.function->method.tokens;
  for (int64_t row = 0; row < capacity; ++row) {
    const auto index = static_cast<size_t>(row);
    loaded.tokens[index] = static_cast<int32_t>(rows.tokens[index]);
    set_position_row(loaded, row, rows.positions[index]);
  }
  for (int64_t row = 0; row < capacity; ++row) {
    set_visible(loaded, row, &rows.visible[static_cast<size_t>(row * capacity)]);
  }
  loaded.last_position = 0;
  TRY(run(loaded, rows.used, true, start));
  return logits_of(loaded, 0, rows.used);
}

void Session::keep_row(int64_t row, int64_t token) {
  cache_.append(verifying().fresh, row);
  history_.push_back(token);
}

void Session::observe(engine::RunObserver* observer) {
  for (Loaded& loaded : loaded_) loaded.method->observe(observer);
}

engine::Overflows Session::overflows() const {
  engine::Overflows total;
  for (const Loaded& loaded : loaded_) total += loaded.method->overflows();
  return total;
}

}  // namespace diptych::generate
