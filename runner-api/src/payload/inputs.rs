//! `inputs`: values for the interpolation of job inputs.

use std::fmt;

use super::lenient::{Fields, Object, lenient_text};
use crate::text_enum::text_enum;

/// One input of a job.
///
/// ```
/// use runner_api::payload::InputKind;
///
/// let job = runner_api::Job::from_json(
///     r#"{"id": 1, "token": "t", "inputs": [{"key": "n", "value": {"type": "number", "content": 3}}]}"#,
/// )?;
/// assert_eq!(job.inputs[0].value.kind, Some(InputKind::Number));
/// assert_eq!(job.inputs[0].value.content, 3);
/// # Ok::<(), runner_api::UnreadableJob>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct JobInput {
    /// The name.
    pub key: String,
    /// The value.
    pub value: InputValue,
}

impl Object for JobInput {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { key: fields.take("key"), value: fields.take("value") }
    }
}

/// The value of an input. Whoever interpolates it must check that kind and content fit: a content that is null or of
/// another kind is a configuration error of the job.
///
/// ```
/// assert!(runner_api::payload::InputValue::default().content.is_null());
/// ```
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct InputValue {
    /// What the content shall be.
    pub kind: Option<InputKind>,
    /// The content, any JSON value.
    pub content: serde_json::Value,
    /// Whether the content must not be used.
    pub sensitive: bool,
}

impl Object for InputValue {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            kind: fields.take_optional("type"),
            content: fields.take("content"),
            sensitive: fields.take("sensitive"),
        }
    }
}

impl fmt::Debug for InputValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content: &dyn fmt::Debug = if self.sensitive { &"[redacted]" } else { &self.content };
        f.debug_struct("InputValue")
            .field("kind", &self.kind)
            .field("content", content)
            .field("sensitive", &self.sensitive)
            .finish()
    }
}

text_enum! {
    /// What an input's content is.
    ///
    /// ```
    /// use runner_api::payload::InputKind;
    /// assert_eq!(InputKind::from("boolean"), InputKind::Boolean);
    /// ```
    pub enum InputKind {
        /// A text.
        Text = "string",
        /// A number.
        Number = "number",
        /// True or false.
        Boolean = "boolean",
        /// A list.
        Array = "array",
        /// An object.
        Struct = "struct",
    }
}

lenient_text!(InputKind);
