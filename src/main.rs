//! Parses the command line, runs one verb, and turns its outcome into an exit code.

fn main() -> std::process::ExitCode {
    supercargo::cli::main()
}
