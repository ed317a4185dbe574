//! A server of prepared answers on a thread of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// One request as it was received, its chunks put together.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// File name and content of the one part of a form.
    pub(crate) fn form(&self) -> (String, &[u8]) {
        let boundary = self.header("content-type").unwrap().split_once("boundary=").unwrap().1;
        let head_end = self.body.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(self.body[..head_end].to_vec()).unwrap();
        assert!(head.starts_with(&format!("--{boundary}\r\n")), "{head}");
        assert!(head.contains("name=\"file\""), "{head}");
        let name = head.split_once("filename=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        let end = format!("\r\n--{boundary}--\r\n");
        assert!(self.body.ends_with(end.as_bytes()));
        (name, &self.body[head_end + 4..self.body.len() - end.len()])
    }
}

/// Status line, further headers and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
    /// Sends less than was announced.
    pub(crate) broken: bool,
}

/// An answer without further headers.
pub(crate) fn answer(status: &'static str, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, headers: String::new(), body: body.into(), broken: false }
}

/// Answers as many requests as there are answers.
pub(crate) struct Server {
    pub(crate) url: String,
    serving: JoinHandle<Vec<Request>>,
}

impl Server {
    pub(crate) fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            answers.into_iter().map(|answer| serve(&listener.accept().unwrap().0, &answer)).collect()
        });
        Self { url, serving }
    }

    /// What was asked, when everything was answered.
    pub(crate) fn requests(self) -> Vec<Request> {
        self.serving.join().unwrap()
    }
}

fn serve(stream: &TcpStream, answer: &Answer) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = line();
    let headers: Vec<_> = std::iter::repeat_with(&mut line)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.split_once(": ").map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()))
        })
        .collect();
    let mut request = Request { line: first, headers, body: Vec::new() };
    if request.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut size = String::new();
            // A client that gives up in the middle is answered all the same.
            if reader.read_line(&mut size).unwrap() == 0 {
                break;
            }
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).unwrap();
            if size == 0 {
                break;
            }
            request.body.extend_from_slice(&chunk[..size]);
        }
    } else if let Some(length) = request.header("content-length") {
        request.body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut request.body).unwrap();
    }

    let Answer { status, headers, body, broken } = answer;
    let length = if *broken { body.len() + 1 } else { body.len() };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
    let mut stream = stream;
    // The client may have hung up.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    request
}
