#include "measure/report.h"

#include <fmt/format.h>

#include <vector>

#include "base/json.h"
#include "measure/limits.h"

namespace diptych::measure {

namespace {

constexpr double kGiga = 1e9;

Json to_json(const Report& report, const Row& row) {
  Json json = {{"model", row.model},
               {"test", row.test.name()},
               {"threads", row.threads},
               {"numerics", engine::name(row.numerics)},
               {"median", nullptr},  // tokens per second, as the next three
               {"mean", nullptr},
               {"sd", nullptr},
               {"samples", row.samples},
               {"bytes_per_token", nullptr},
               {"operations_per_token", nullptr},
               {"gb_per_s", nullptr},
               {"gop_per_s", nullptr},
               {"limit", nullptr},
               {"limit_is", row.limit_is},
               {"pct_of_limit", nullptr},
               {"skipped", nullptr},
               {"plain", nullptr},  // the median without drafts, in turns with that with them
               {"speedup", nullptr},
               {"drafted_tokens", nullptr},
               {"accepted_tokens", nullptr},
               {"acceptance", nullptr},
               {"tokens_per_step", nullptr},
               {"load_seconds", row.start.load_seconds},
               {"first_token_seconds", row.start.first_token_seconds},
               {"peak_memory_bytes", row.start.peak_memory_bytes},
               {"machine", report.machine}};
  if (!row.skipped.empty()) json["skipped"] = row.skipped;
  if (row.samples.empty()) return json;
  const Statistics statistics = row.statistics();
  json["median"] = statistics.median;
  json["mean"] = statistics.mean;
  json["sd"] = statistics.sd;
  json["bytes_per_token"] = row.bytes_per_token;
  json["operations_per_token"] = row.operations_per_token;
  json["gb_per_s"] = row.bytes_per_second() / kGiga;
  json["gop_per_s"] = row.operations_per_second() / kGiga;
  json["limit"] = row.limit / kGiga;
  json["pct_of_limit"] = row.percent_of_limit();
  if (!row.drafts) return json;
  json["plain"] = summarise(row.drafts->plain).median;
  json["speedup"] = row.speedup();
  json["drafted_tokens"] = row.drafts->counts.drafted;
  json["accepted_tokens"] = row.drafts->counts.accepted;
  json["acceptance"] = row.drafts->counts.acceptance();
  json["tokens_per_step"] = row.drafts->tokens_per_step();
  return json;
}

Json to_json(const Profile& profile) {
  Json steps = Json::array();
  for (const ProfileLine& line : profile.lines) {
    Json step = {{"function", line.function}, {"op", line.op},
                 {"layer", nullptr},          {"calls", line.calls},
                 {"seconds", line.seconds},   {"pct_of_time", 100 * line.seconds / profile.seconds},
                 {"gb_per_s", nullptr},       {"gop_per_s", nullptr}};
    if (line.layer >= 0) step["layer"] = line.layer;
    if (line.multiply_adds > 0) {
      step["gb_per_s"] = static_cast<double>(line.weight_bytes) / line.seconds / kGiga;
      step["gop_per_s"] = 2 * static_cast<double>(line.multiply_adds) / line.seconds / kGiga;
    }
    steps.push_back(std::move(step));
  }
  return {{"tokens", profile.tokens},
          {"seconds", profile.seconds},
          {"seconds_outside", profile.seconds_outside()},
          {"steps", std::move(steps)}};
}

std::string csv_cell(const Json& value) {
  if (value.is_null()) return {};
  if (value.is_array()) {
    std::vector<std::string> elements;
    for (const Json& element : value) elements.push_back(dump_json(element));
    return fmt::format("{}", fmt::join(elements, " "));
  }
  if (!value.is_string()) return dump_json(value);
  const auto text = value.get<std::string>();
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string quoted;
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return fmt::format("\"{}\"", quoted);
}

}  // namespace

Json to_json(const Report& report) {
  Json rows = Json::array();
  for (const Row& row : report.rows) {
    Json json = to_json(report, row);
    json["profile"] = row.profile ? to_json(*row.profile) : Json(nullptr);
    rows.push_back(std::move(json));
  }
  return rows;
}

std::string to_csv(const Report& report) {
  std::string out;
  for (const Row& row : report.rows) {
    const Json json = to_json(report, row);
    std::vector<std::string> keys, cells;
    for (const auto& [key, value] : json.items()) {
      keys.push_back(key);
      cells.push_back(csv_cell(value));
    }
    if (out.empty()) out = fmt::format("{}\n", fmt::join(keys, ","));
    out += fmt::format("{}\n", fmt::join(cells, ","));
  }
  return out;
}

}  // namespace diptych::measure
