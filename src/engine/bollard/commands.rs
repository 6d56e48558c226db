//! Docker's exec: a command inside a running container, with its streams (the connection is upgraded) or for its exit
//! code alone. Goes past bollard, which copies a command's output into lines. Nothing of it is kept or logged: what a
//! command reads and writes may be plaintext.

use bytes::Bytes;
use futures::{StreamExt, pin_mut};
use http::Method;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};

use super::{Docker, Failure, limit, quoted, streams};
use crate::{
    engine::{Commands, Op, Result, Session},
    state::container::ContainerId,
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Create<'a> {
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    cmd: &'a [String],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspect {
    exit_code: Option<i64>,
}

const START: &[u8] = br#"{"Detach":false,"Tty":false}"#;

impl Commands for Docker {
    async fn attach(&self, id: &ContainerId, command: &[String]) -> Result<Session> {
        let op = Op::Exec;
        let call = async {
            let exec = self.make(id, command, true).await?;
            let answer = self
                .wire
                .upgrade(&format!("/exec/{exec}/start"), START.into())
                .await?;
            let answer = self.good(answer).await?;
            let connection = hyper::upgrade::on(answer).await;
            connection.map_err(|e| Failure::Silent(format!("the stream did not open: {e}")))
        };
        let connection = self
            .within(op, limit(op), call)
            .await
            .map_err(|failure| self.error(op, id.as_str(), failure))?;
        let (reader, writer) = tokio::io::split(TokioIo::new(connection));
        let (docker, id) = (self.clone(), id.clone());
        let output = streams::read_chunks(reader)
            .map(move |chunk| chunk.map_err(|e| docker.error(op, id.as_str(), Failure::Silent(e))));
        Ok(Session {
            output: output.boxed(),
            input: Box::pin(writer),
        })
    }

    async fn run_command(&self, id: &ContainerId, command: &[String]) -> Result<i64> {
        let op = Op::RunCommand;
        let call = async {
            let exec = self.make(id, command, false).await?;
            let path = format!("/exec/{exec}/start");
            let answer = self.raw(Method::POST, &path, START.into(), None).await?;
            let output = streams::log_chunks(answer);
            pin_mut!(output);
            while let Some(chunk) = output.next().await {
                chunk.map_err(Failure::Silent)?;
            }
            let path = format!("/exec/{exec}/json");
            let ended: Inspect = self.raw_json(Method::GET, &path, Bytes::new()).await?;
            let unknown = || Failure::Nonsense("the command ended without an exit code".to_owned());
            ended.exit_code.ok_or_else(unknown)
        };
        self.within(op, limit(op), call)
            .await
            .map_err(|failure| self.error(op, id.as_str(), failure))
    }
}

impl Docker {
    async fn make(
        &self,
        id: &ContainerId,
        command: &[String],
        reads: bool,
    ) -> std::result::Result<String, Failure> {
        let create = Create {
            attach_stdin: reads,
            attach_stdout: true,
            attach_stderr: true,
            cmd: command,
        };
        let body = serde_json::to_vec(&create).map_err(|e| Failure::Nonsense(e.to_string()))?;
        let path = format!("/containers/{}/exec", quoted(id.as_str()));
        let created: Created = self.raw_json(Method::POST, &path, body.into()).await?;
        Ok(quoted(&created.id))
    }
}
