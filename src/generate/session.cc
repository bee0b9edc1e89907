#include "generate/session.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "engine/cells.h"

namespace diptych::generate {

namespace {

size_t width_of(DType dtype) { return static_cast<size_t>(bit_width(dtype)) / 8; }

// Writes an additive mask value: 0 shows, -inf hides.
void put_mask(std::byte* out, DType dtype, bool visible) {
  if (dtype == DType::F16) {
    store<uint16_t>(out, visible ? 0 : 0xFC00);
  } else {
    store<uint32_t>(out, visible ? 0 : 0xFF800000);
  }
}

using MethodLoading = std::future<Result<std::unique_ptr<runtime::Method>>>;

// Loads the functions' methods, side by side when the program has more than one thread. What is
// passed must outlive the result.
std::vector<MethodLoading> load_methods(runtime::Program& program,
                                        const std::vector<FunctionDescription>& functions) {
  // Where the system gives no more threads, the methods load one after another.
  const auto when = program.threads().threads() > 1 ? std::launch::async | std::launch::deferred
                                                    : std::launch::deferred;
  std::vector<MethodLoading> methods;
  methods.reserve(functions.size());
  for (const FunctionDescription& function : functions) {
    methods.push_back(std::async(when, [&program, &function] {
      return program.load_method(function.method, runtime::TokenInput{function.tokens_input, 1});
    }));
  }
  return methods;
}

}  // namespace

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<runtime::Program> program) {
  std::unique_ptr<Session> session(new Session);
  session->program_ = std::move(program);
  session->model_ = TRY(describe(*session->program_));
  const ModelDescription& model = session->model_;
  TRY(session->make_caches());
  std::vector<MethodLoading> methods = load_methods(*session->program_, model.functions);
  for (size_t i = 0; i < methods.size(); ++i) {
    TRY(session->add_function(model.functions[i], TRY(methods[i].get())));
  }
  // Only now do they stay where they are.
  for (Loaded& loaded : session->loaded_) {
    if (const auto input = loaded.description->last_position_input) {
      TRY(loaded.method->bind_input(*input, std::as_bytes(std::span(&loaded.last_position, 1))));
    }
  }
  // Now, so that nothing is allocated while tokens are computed.
  session->logits_.reserve(static_cast<size_t>(model.vocab_size));
  session->history_.reserve(static_cast<size_t>(model.max_context));
  return session;
}

Status Session::make_caches() {
  constexpr uint64_t kAlignment = 64;
  uint64_t size = width_of(model_.dtype);
  for (const int64_t factor : {model_.kv_heads, model_.prefill().cache_len, model_.head_dim}) {
    size *= static_cast<uint64_t>(factor);
  }
  const uint64_t stride = align_up(size, kAlignment);
  const uint64_t count = 2 * static_cast<uint64_t>(model_.layers);
  uint64_t all = 0;
  if (!checked_mul(stride, count, &all))
    return unsupported("caches of {} times {} bytes", count, stride);
  // Slots start at zero: masked values must be finite.
  caches_ = TRY(ZeroedMemory::allocate(all));
  for (uint64_t layer = 0; layer < count / 2; ++layer) {
    const uint64_t at = 2 * layer * stride;
    key_cache_.push_back(caches_.bytes().subspan(at, size));
    value_cache_.push_back(caches_.bytes().subspan(at + stride, size));
  }
  return {};
}

Status Session::add_function(const FunctionDescription& description,
                             std::unique_ptr<runtime::Method> loaded_method) {
  Loaded loaded;
  loaded.description = &description;
  loaded.method = std::move(loaded_method);
  const auto input_size = [&](size_t index) { return packed_size(loaded.method->inputs()[index]); };
  const auto output_size = [&](size_t index) {
    return packed_size(loaded.method->outputs()[index]);
  };
  loaded.tokens.resize(static_cast<size_t>(description.tokens));
  loaded.mask.resize(TRY(input_size(description.mask_input)));
  loaded.cos.resize(TRY(input_size(description.cos_input)));
  loaded.sin.resize(TRY(input_size(description.sin_input)));
  loaded.logits.resize(TRY(output_size(description.logits_output)));
  for (size_t layer = 0; layer < description.key_outputs.size(); ++layer) {
    loaded.keys.emplace_back(TRY(output_size(description.key_outputs[layer])));
    loaded.values.emplace_back(TRY(output_size(description.value_outputs[layer])));
  }
  loaded_.push_back(std::move(loaded));

  Loaded& owner = loaded_.back();
  runtime::Method& method = *owner.method;
  TRY(method.bind_input(description.tokens_input, std::as_bytes(std::span(owner.tokens))));
  TRY(method.bind_input(description.mask_input, owner.mask));
  TRY(method.bind_input(description.cos_input, owner.cos));
  TRY(method.bind_input(description.sin_input, owner.sin));
  TRY(method.bind_output(description.logits_output, owner.logits));
  for (size_t layer = 0; layer < owner.keys.size(); ++layer) {
    TRY(method.bind_input(description.key_inputs[layer], key_cache_[layer]));
    TRY(method.bind_input(description.value_inputs[layer], value_cache_[layer]));
    TRY(method.bind_output(description.key_outputs[layer], owner.keys[layer]));
    TRY(method.bind_output(description.value_outputs[layer], owner.values[layer]));
  }
  return {};
}

void Session::set_position_row(Loaded& loaded, int64_t row, int64_t position) {
  // Padding may run past the table; its rows are never looked at, but must be finite.
  const int64_t clamped = std::min(position, model_.max_context - 1);
  const size_t bytes = static_cast<size_t>(model_.rope_width) * width_of(model_.dtype);
  const size_t from = static_cast<size_t>(clamped) * bytes, to = static_cast<size_t>(row) * bytes;
  std::copy_n(&model_.cos_table[from], bytes, &loaded.cos[to]);
  std::copy_n(&model_.sin_table[from], bytes, &loaded.sin[to]);
}

void Session::set_visible(Loaded& loaded, int64_t row, int64_t cached, const uint8_t* new_columns) {
  const FunctionDescription& function = *loaded.description;
  const size_t width = width_of(model_.dtype);
  std::byte* out =
      &loaded.mask[static_cast<size_t>(row * (function.cache_len + function.tokens)) * width];
  for (int64_t c = 0; c < function.cache_len; ++c, out += width)
    put_mask(out, model_.dtype, c < cached);
  for (int64_t c = 0; c < function.tokens; ++c, out += width) {
    put_mask(out, model_.dtype, new_columns ? new_columns[c] != 0 : c <= row);
  }
}

Status Session::run(Loaded& loaded, int64_t rows, bool with_logits) {
  TRY(loaded.method->want_output(loaded.description->logits_output, with_logits));
  TRY(loaded.method->limit_tokens(rows));
  const auto start = std::chrono::steady_clock::now();
  TRY(loaded.method->execute());
  MethodStatistics& statistics = statistics_[loaded.description->method];
  ++statistics.calls;
  statistics.seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {};
}

void Session::store_row(const Loaded& loaded, int64_t row) {
  const FunctionDescription& function = *loaded.description;
  const size_t bytes = static_cast<size_t>(model_.head_dim) * width_of(model_.dtype);
  for (size_t layer = 0; layer < key_cache_.size(); ++layer) {
    for (int64_t head = 0; head < model_.kv_heads; ++head) {
      const size_t from = static_cast<size_t>(head * function.tokens + row) * bytes;
      const size_t to = static_cast<size_t>(head * function.cache_len + cached_) * bytes;
      std::copy_n(&loaded.keys[layer][from], bytes, key_cache_[layer].data() + to);
      std::copy_n(&loaded.values[layer][from], bytes, value_cache_[layer].data() + to);
    }
  }
  ++cached_;
}

std::span<const float> Session::logits_of(const Loaded& loaded, int64_t first_row, int64_t rows) {
  const auto vocab = static_cast<size_t>(model_.vocab_size);
  const size_t first = static_cast<size_t>(first_row) * vocab;
  logits_.resize(static_cast<size_t>(rows) * vocab);
  engine::widen(model_.dtype, &loaded.logits[width_of(model_.dtype) * first], logits_.size(),
                reinterpret_cast<std::byte*>(logits_.data()));
  return logits_;
}

Status Session::check_tokens(std::span<const int64_t> tokens) const {
  if (tokens.empty()) return invalid_argument("no tokens to evaluate");
  if (static_cast<int64_t>(tokens.size()) > remaining()) {
    return invalid_argument(
        "{} tokens do not fit: {} of {} positions are left; give fewer tokens or export with a "
        "larger --max_context_len",
        tokens.size(), remaining(), model_.max_context);
  }
  for (const int64_t token : tokens) {
    if (token < 0 || token >= model_.vocab_size) {
      return invalid_argument("token {} is outside the vocabulary, expected 0 to {}", token,
                              model_.vocab_size - 1);
    }
  }
  return {};
}

// The smallest function that takes all rows at once, else the largest.
Session::Loaded& Session::function_for(int64_t rows) {
  Loaded* loaded = &loaded_.front();
  for (Loaded& candidate : loaded_) {
    if (candidate.description->tokens >= rows) loaded = &candidate;
  }
  return *loaded;
}

Result<Session::Chunk> Session::evaluate_chunk(std::span<const int64_t> tokens, Logits logits) {
  const int64_t tail = position() - cached_;
  const int64_t wanted = tail + static_cast<int64_t>(tokens.size());
  Loaded& loaded = function_for(wanted);
  const int64_t capacity = loaded.description->tokens;
  const int64_t rows = std::min(capacity, wanted);
  if (rows <= tail) {
    return fail(ErrorCode::Internal, "{} tokens outside the cache leave no row for a new one",
                tail);
  }
  history_.insert(history_.end(), tokens.begin(), tokens.begin() + (rows - tail));
  for (int64_t row = 0; row < capacity; ++row) {
    const auto index = static_cast<size_t>(cached_ + row);
    loaded.tokens[static_cast<size_t>(row)] =
        row < rows ? static_cast<int32_t>(history_[index]) : 0;
    set_position_row(loaded, row, cached_ + row);
    set_visible(loaded, row, cached_, nullptr);
  }
  loaded.last_position = rows - 1;
  TRY(run(loaded, rows, logits == Logits::Always || rows == wanted));
  const int64_t room = loaded.description->cache_len - cached_;
  for (int64_t row = 0; row < std::min(room, rows); ++row) store_row(loaded, row);
  return Chunk{&loaded, tail, rows};
}

Result<std::span<const float>> Session::evaluate(std::span<const int64_t> tokens,
                                                 const std::function<bool()>& cancelled) {
  TRY(check_tokens(tokens));
  for (;;) {
    const Chunk chunk = TRY(evaluate_chunk(tokens, Logits::AtTheEnd));
    tokens = tokens.subspan(static_cast<size_t>(chunk.rows - chunk.tail));
    if (tokens.empty()) {
      return logits_of(*chunk.loaded, chunk.loaded->description->full_logits ? chunk.rows - 1 : 0,
                       1);
    }
    if (cancelled && cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
  }
}

Status Session::evaluate_each(std::span<const int64_t> tokens, const Visitor& visit) {
  TRY(check_tokens(tokens));
  const auto vocab = static_cast<size_t>(model_.vocab_size);
  for (size_t done = 0; done < tokens.size();) {
    const std::span<const int64_t> rest = tokens.subspan(done);
    const int64_t wanted = position() - cached_ + static_cast<int64_t>(rest.size());
    const bool together = function_for(wanted).description->full_logits;
    const Chunk chunk = TRY(evaluate_chunk(together ? rest : rest.first(1), Logits::Always));
    const int64_t fresh = chunk.rows - chunk.tail;
    const std::span<const float> logits =
        logits_of(*chunk.loaded, chunk.loaded->description->full_logits ? chunk.tail : 0, fresh);
    for (size_t i = 0; i < static_cast<size_t>(fresh); ++i) {
      TRY(visit(done + i, logits.subspan(i * vocab, vocab)));
    }
    done += static_cast<size_t>(fresh);
  }
  return {};
}

void Session::rewind(int64_t position) {
  history_.resize(static_cast<size_t>(position));
  cached_ = std::min(cached_, position);
}

bool Session::rows_fit(int64_t needed) const {
  return cached_ == position() && cached_ + needed <= model_.decode().cache_len &&
         needed <= remaining();
}

Result<std::span<const float>> Session::evaluate_rows(const Rows& rows) {
  Loaded& loaded = loaded_.back();
  const int64_t capacity = loaded.description->tokens;
  for (int64_t row = 0; row < capacity; ++row) {
    const auto index = static_cast<size_t>(row);
    loaded.tokens[index] = static_cast<int32_t>(rows.tokens[index]);
    set_position_row(loaded, row, rows.positions[index]);
    set_visible(loaded, row, cached_, &rows.visible[index * static_cast<size_t>(capacity)]);
  }
  loaded.last_position = 0;
  TRY(run(loaded, rows.used, true));
  return logits_of(loaded, 0, rows.used);
}

void Session::keep_row(int64_t row, int64_t token) {
  store_row(loaded_.back(), row);
  history_.push_back(token);
}

void Session::observe(engine::RunObserver* observer) {
  for (Loaded& loaded : loaded_) loaded.method->observe(observer);
}

engine::Overflows Session::overflows() const {
  engine::Overflows total;
  for (const Loaded& loaded : loaded_) {
    const engine::Overflows part = loaded.method->overflows();
    const uint64_t sum = total.count + part.count;
    if (total.count == 0) total = part;
    total.count = sum;
  }
  return total;
}

}  // namespace diptych::generate
