// diptych serve: OpenAI's interface over models, by HTTP.

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "base/temporaries.h"
#include "cli/command.h"
#include "cli/hints.h"
#include "cli/terminal.h"
#include "server/server.h"

namespace diptych::cli {

namespace {

struct ServeArguments {
  server::ServerOptions options;
  std::string numerics, context_reuse = "on", log = "text";
  int64_t max_connections = 256, max_body = 2 << 20, max_queue = 64;
  double drain = 30;
};

// From now on these come to wait_for_signal() alone, whatever thread they are meant for.
sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

// Obeys signals until the server has stopped: SIGHUP opens the files again, SIGTERM and SIGINT stop
// it in order, a second one ends the process.
class Signals {
 public:
  Signals(server::Server& server, double drain)
      : thread_([this, &server, drain] { obey(server, drain); }) {}
  ~Signals() {
    done_ = true;
    thread_.join();
    if (stopping_.joinable()) stopping_.join();
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  void obey(server::Server& server, double drain) {
    const sigset_t set = handled_signals();
    while (!done_) {
      const timespec fifth{0, 200'000'000};
      const int signal = ::sigtimedwait(&set, nullptr, &fifth);
      if (signal == SIGHUP) {
        const Status status = server.reload();
        tell("diptych serve: {}",
             status ? "files were opened again" : worded(status.error(), "serve").to_string());
      } else if (signal > 0 && stopping_.joinable()) {
        remove_temporaries();
        std::_Exit(128 + signal);
      } else if (signal > 0) {
        tell("diptych serve: stopping; what is being answered has {} s", drain);
        stopping_ = std::thread([&server, drain] { server.stop(drain); });
      }
    }
  }

  std::atomic<bool> done_ = false;
  std::thread stopping_;
  std::thread thread_;
};

std::string mebibytes(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

void tell_models(const server::Models& models) {
  for (const auto& model : models.all()) {
    const size_t slots = model->scheduler().state().slots.size();
    for (const std::string& note : model->opened().notes()) {
      tell("diptych serve: warning: {}", note);
    }
    tell("diptych serve: model {}: {} tokens of context{}; {} slots of {}, {} in all", model->id(),
         model->opened().max_context(),
         model->opened().chat_template() != nullptr ? "" : ", no chat template (completions alone)",
         slots, mebibytes(model->slot_bytes()), mebibytes(slots * model->slot_bytes()));
  }
}

Status serve(ServeArguments& a) {
  server::ServerOptions& options = a.options;
  answer::OpenOptions& open = options.models.open;
  open.numerics = TRY(numerics_from(a.numerics));
  open.tokenizer = answer::Part::Needed;
  if (options.models.paths.size() > 1 &&
      !(options.models.id.empty() && open.tokenizer_path.empty() &&
        open.chat_template_path.empty())) {
    return usage_error("--name, -t and --chat-template are for one model");
  }
  options.models.scheduler.reuse = a.context_reuse == "on";
  options.models.scheduler.most_waiting = static_cast<size_t>(a.max_queue);
  options.http.most_connections = static_cast<size_t>(a.max_connections);
  options.http.most_body_bytes = static_cast<size_t>(a.max_body);
  if (!options.models.session_directory.empty()) {
    TRY(make_directories(options.models.session_directory));
  }
  options.models.tell = [](std::string_view notice) { tell("diptych serve: warning: {}", notice); };
  std::mutex printing;
  if (a.log == "text") {
    options.log = [&printing](const Json& entry) {
      const std::lock_guard lock(printing);
      tell("{}", dump_json(entry));
    };
  }
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto server = TRY(server::Server::create(options));
  tell_models(*server->models());
  tell("diptych serve: listening on http://{}:{}",
       options.http.host.find(':') == std::string::npos ? options.http.host
                                                        : "[" + options.http.host + "]",
       server->port());
  const Signals obeyed(*server, a.drain);
  server->run();
  return {};
}

}  // namespace

Action setup_serve(Parser& parser) {
  auto arguments = std::make_shared<ServeArguments>();
  ServeArguments& a = *arguments;
  server::ServerOptions& options = a.options;
  constexpr double kMostSeconds = 86400;
  parser
      .add_option("models", options.models.paths,
                  "The .pte files to serve; the first is the default")
      ->required();
  parser.add_option("--name", options.models.id,
                    "The model's name in requests (default: the file's)");
  parser.add_option("-t,--tokenizer", options.models.open.tokenizer_path,
                    std::string(kTokenizerHelp) + " (default: the one that the model carries)");
  parser.add_option("--chat_template", options.models.open.chat_template_path,
                    "A file of Jinja (default: the template that the model carries)");
  parser.add_option("--host", options.http.host, "Address to listen on; 0.0.0.0: all")
      ->show_default();
  parser.add_option("--port", options.http.port, "Port to listen on; 0: any that is free")
      ->check(number_between(0, 65535))
      ->show_default();
  parser.add_option("--api_key_file", options.key_file,
                    "Keys that clients must show, one a line (default: everybody may ask)");
  parser
      .add_option("--slots", options.models.scheduler.slots,
                  "Answers at once, each with a cache of its own")
      ->check(number_between(1, 256))
      ->show_default();
  parser.add_option("--max_queue", a.max_queue, "Answers that may wait for a slot")
      ->check(number_between(1, 100000))
      ->show_default();
  parser
      .add_option("--context_reuse", a.context_reuse,
                  "Keep what caches hold of earlier prompts: on or off")
      ->check(one_of({"on", "off"}))
      ->show_default();
  parser.add_option("--session_dir", options.models.session_directory,
                    "Save what caches hold there when the server stops, and restore it at start");
  parser.add_option("--cors", options.cors,
                    "An origin whose pages may ask (https://example.org), or * for all");
  parser.add_option("--drain", a.drain, "Seconds that answers have to end once SIGTERM has come")
      ->check(number_between(0, kMostSeconds))
      ->show_default();
  parser.add_option("--max_connections", a.max_connections, "Connections at once")
      ->check(number_between(1, 900))
      ->show_default();
  parser.add_option("--max_body", a.max_body, "Bytes of a request's body")
      ->check(number_between(1024, 1 << 30))
      ->show_default();
  parser.add_option("--log", a.log, "A line of JSON on stderr for each request: text or none")
      ->check(one_of({"text", "none"}))
      ->show_default();
  add_engine_options(parser, options.models.open.threads, a.numerics);
  return [arguments] { return serve(*arguments); };
}

}  // namespace diptych::cli
